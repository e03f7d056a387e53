export interface Row {
  readonly name: string;
  readonly unit: string;
  readonly millrace: number;
  readonly bare?: number;
  /** A least value, of the ratio or of the figure itself. */
  readonly target?: { readonly of: "ratio" | "figure"; readonly least: number };
}

export function ratioOf({ millrace, bare }: Row): number | undefined {
  return bare === undefined || bare === 0 ? undefined : millrace / bare;
}

/** True where the row has no target. */
export function meets(row: Row): boolean {
  if (row.target === undefined) return true;
  return ((row.target.of === "ratio" ? ratioOf(row) : row.millrace) ?? 0) >= row.target.least;
}

/** An aligned table, one line a row. */
export function tableOf(rows: readonly Row[]): string {
  const lines = rows.map((row) => [
    row.name,
    row.unit,
    figure(row.millrace),
    row.bare === undefined ? "" : figure(row.bare),
    ratioOf(row)?.toFixed(2) ?? "",
    targetOf(row),
    row.target === undefined ? "" : meets(row) ? "pass" : "MISS",
  ]);
  const all = [["", "unit", "millrace", "bare", "ratio", "target", ""], ...lines];
  const widths =
    all[0]?.map((_, column) => Math.max(...all.map((cells) => cells[column]?.length ?? 0))) ?? [];
  return all
    .map((cells) =>
      cells
        .map((cell, column) =>
          column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function targetOf({ target }: Row): string {
  if (target === undefined) return "";
  return target.of === "ratio" ? `>= ${target.least} of bare` : `>= ${figure(target.least)}`;
}

function figure(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en-US") : value.toFixed(1);
}
