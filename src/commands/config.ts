import { aligned } from "./aligned.ts";
import { type Config, settings, shownConfig, variableOf } from "../config.ts";

/** The effective settings as a table: variable, value, and what it is for. Secrets that were set are ***. */
export function configTable(config: Config): string {
  const rows = shownConfig(config).map(({ name, value }) => [
    variableOf(name),
    value,
    settings[name].sentence,
  ]);
  return aligned(rows);
}
