import { aligned } from "./aligned.ts";
import { shownConfig } from "../config.ts";
import { type Config, settings, variableOf } from "../settings.ts";

/** The effective settings as a table: variable, value, and what it is for. Secrets that were set are ***. */
export function configTable(config: Config): string {
  const rows = shownConfig(config).map(({ name, value }) => [
    variableOf(name),
    value,
    settings[name].sentence,
  ]);
  return aligned(rows);
}
