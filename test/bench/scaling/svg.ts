/** A line of a plot: points of one series, in the units of its axes. */
export interface Line {
  readonly name: string;
  readonly colour: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Panel {
  readonly title: string;
  readonly lines: readonly Line[];
  /** A level to be kept, as a dashed line. */
  readonly level?: { readonly y: number; readonly name: string };
  readonly mostX: number;
}

/** Where a panel is on the picture, in pixels. */
interface Frame {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export const WIDTH = 860;
const INK = "#1f2937";
const FAINT = "#6b7280";
const GRID = "#e5e7eb";

/** A picture on a light ground of its own, so that it can be read on a dark page as well. */
export function picture(title: string, height: number, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" font-family="system-ui, sans-serif" font-size="12">`,
    `<title>${title}</title>`,
    `<rect width="${WIDTH}" height="${height}" rx="8" fill="#ffffff"/>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

export function text(x: number, y: number, words: string, more: string = `fill="${FAINT}"`): string {
  return `<text x="${round(x)}" y="${round(y)}" ${more}>${words.replaceAll("&", "&amp;").replaceAll("<", "&lt;")}</text>`;
}
export const heading = `fill="${INK}" font-size="14" font-weight="600"`;

export function legend(
  x: number,
  y: number,
  lines: readonly Pick<Line, "name" | "colour">[],
): readonly string[] {
  return lines.flatMap(({ name, colour }, index) => {
    const left = x + index * 130;
    return [
      `<line x1="${left}" y1="${y - 4}" x2="${left + 22}" y2="${y - 4}" stroke="${colour}" stroke-width="3"/>`,
      text(left + 28, y, name, `fill="${INK}"`),
    ];
  });
}

/** Lines over time, with a grid; one panel of several that share their time. */
export function panel({ title, lines, level, mostX }: Panel, frame: Frame): readonly string[] {
  const { left, top, width, height } = frame;
  const mostY = niceOver(Math.max(level?.y ?? 0, ...lines.flatMap(({ points }) => points.map(([, y]) => y))));
  const x = (value: number) => left + (value / mostX) * width;
  const y = (value: number) => top + height - (value / mostY) * height;
  const grid = [0, 0.5, 1].flatMap((share) => [
    `<line x1="${left}" y1="${round(y(share * mostY))}" x2="${left + width}" y2="${round(y(share * mostY))}" stroke="${GRID}"/>`,
    text(
      left - 6,
      y(share * mostY) + 4,
      (share * mostY).toLocaleString("en-US"),
      `fill="${FAINT}" text-anchor="end"`,
    ),
  ]);
  const drawn = lines.map(
    ({ colour, points }) =>
      `<polyline fill="none" stroke="${colour}" stroke-width="1.6" stroke-linejoin="round" points="${points
        .map(([at, value]) => `${round(x(at))},${round(y(value))}`)
        .join(" ")}"/>`,
  );
  const dashed =
    level === undefined
      ? []
      : [
          `<line x1="${left}" y1="${round(y(level.y))}" x2="${left + width}" y2="${round(y(level.y))}" stroke="#b91c1c" stroke-dasharray="5 4"/>`,
          text(left + width, y(level.y) - 5, level.name, `fill="#b91c1c" text-anchor="end"`),
        ];
  return [...grid, ...drawn, ...dashed, text(left, top - 6, title, `fill="${INK}"`)];
}

/** Marks of minutes below the last panel. */
export function minutes(mostX: number, { left, top, width, height }: Frame): readonly string[] {
  const marks = Array.from({ length: Math.floor(mostX / 600) + 1 }, (_, index) => index * 600);
  return marks.map((at) =>
    text(
      left + (at / mostX) * width,
      top + height + 16,
      `${at / 60} min`,
      `fill="${FAINT}" text-anchor="middle"`,
    ),
  );
}

/** The next number of 1, 2, 4, 5, 6, 8 times a power of ten. */
export function niceOver(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return ([1, 2, 4, 5, 6, 8, 10].find((step) => step * power >= value) ?? 10) * power;
}

export function round(value: number): number {
  return Math.round(value * 10) / 10;
}
