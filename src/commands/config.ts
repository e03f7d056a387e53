import { type Config, settings, shownConfig, variableOf } from "../config.ts";

/** The effective settings as a table: variable, value, and what it is for. Secrets that were set are ***. */
export function configTable(config: Config): string {
  const rows = shownConfig(config).map(({ name, value }) => [
    variableOf(name),
    value,
    settings[name].sentence,
  ]);
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
