export interface Row {
  readonly name: string;
  readonly unit: string;
  readonly millrace: number;
  /** What the figure is compared with, measured in the same run. */
  readonly base?: Base;
  readonly target?: Target;
}
export interface Base {
  readonly name: string;
  readonly figure: number;
}
/** Least values, of the figure itself or of its ratio to the base; one of them is enough. */
export type Target =
  | { readonly figure: number; readonly ratio?: number }
  | { readonly figure?: number; readonly ratio: number };

export function ratioOf({ millrace, base }: Row): number | undefined {
  return base === undefined || base.figure === 0 ? undefined : millrace / base.figure;
}

/** True where the row has no target. */
export function meets(row: Row): boolean {
  if (row.target === undefined) return true;
  const { figure = Number.POSITIVE_INFINITY, ratio = Number.POSITIVE_INFINITY } = row.target;
  return row.millrace >= figure || (ratioOf(row) ?? 0) >= ratio;
}

const head = ["", "unit", "millrace", "base", "", "ratio", "target", ""] as const;
/** Columns of words. */
const aligned: readonly number[] = [0, 1, 4];

/** An aligned table, one line a row. */
export function tableOf(rows: readonly Row[]): string {
  const lines = rows.map((row) => [
    row.name,
    row.unit,
    shown(row.millrace),
    row.base === undefined ? "" : shown(row.base.figure),
    row.base?.name ?? "",
    ratioOf(row)?.toFixed(2) ?? "",
    targetOf(row),
    row.target === undefined ? "" : meets(row) ? "pass" : "MISS",
  ]);
  const all: readonly (readonly string[])[] = [head, ...lines];
  const widths = head.map((_, column) => Math.max(...all.map((cells) => cells[column]?.length ?? 0)));
  return all
    .map((cells) =>
      cells
        .map((cell, column) =>
          aligned.includes(column) ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function targetOf({ target }: Row): string {
  if (target === undefined) return "";
  const { figure, ratio } = target;
  const words = [
    ...(figure === undefined ? [] : [shown(figure)]),
    ...(ratio === undefined ? [] : [`${ratio} of base`]),
  ];
  return `>= ${words.join(" or ")}`;
}

function shown(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en-US") : value.toFixed(1);
}
