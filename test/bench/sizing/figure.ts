/** Events in a request of each load that is measured. */
export const BATCHES = [1, 100, 1000] as const;
export type Batch = (typeof BATCHES)[number];

/** One line of the answer. */
export interface Figure {
  /** The section of the table that it is in. */
  readonly section: string;
  readonly name: string;
  readonly unit: string;
  /** By batch, or one figure where the batch makes no difference. */
  readonly value: number | Readonly<Record<Batch, number>>;
  /** What the figures are divided by to have them as ratios. */
  readonly base?: Readonly<Record<Batch, number>>;
}

/** The middle one; of an even number, the greater of the two. */
export function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** A table of each section, with a column for each batch and the ratios where there are any. */
export function sizingTable(figures: readonly Figure[]): string {
  const sections = Map.groupBy(figures, ({ section }) => section);
  return Array.from(sections, ([section, own]) => {
    const rows = [
      ["", "unit", ...BATCHES.map((batch) => `of ${batch}`), ...BATCHES.map(() => "ratio")],
      ...own.map(({ name, unit, value, base }) => {
        const values = BATCHES.map((batch) => (typeof value === "number" ? value : value[batch]));
        const shown = typeof value === "number" ? [legible(value), "", ""] : values.map(legible);
        return [
          name,
          unit,
          ...shown,
          ...BATCHES.map((batch, i) => (base ? ratio(values[i], base[batch]) : "")),
        ];
      }),
    ];
    return `${section}\n${aligned(rows)}`;
  }).join("\n\n");
}

function ratio(value: number | undefined, base: number): string {
  return value === undefined || base === 0 ? "" : (value / base).toFixed(2);
}

function legible(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString("en-US");
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join("  ")
        .trimEnd(),
    )
    .map((line) => `  ${line}`)
    .join("\n");
}
