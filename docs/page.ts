const generated = "<!-- Written by `npm run docs`. Change the code, not this page. -->";

/** A generated page of these parts, with an empty line between them. */
export const page = (...parts: readonly string[]): string => `${[generated, ...parts].join("\n\n")}\n`;

const line = (cells: readonly string[]): string =>
  `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
