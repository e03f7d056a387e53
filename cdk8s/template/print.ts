import { stringify } from "yaml";
import { Expression, filled, type Named } from "./expression.ts";
import { FileText } from "./file.ts";
import { ChartOnly, Conditional, Each, Lines, Spread } from "./tree.ts";

/** The lines of a template of Helm for the tree, which is a map or a list. */
export function printTree(tree: unknown): readonly string[] {
  if (Array.isArray(tree)) return tree.flatMap((item) => printItem(item, 0));
  return Object.entries(tree as object).flatMap(([key, value]) => printEntry(key, value, 0));
}

/** Lines between the two that begin and end a condition. */
export function printCondition(
  condition: Expression<boolean>,
  yes: readonly string[],
  no?: readonly string[],
) {
  const rest = no === undefined ? [] : ["{{- else }}", ...no];
  return [`{{- if ${condition.go} }}`, ...yes, ...rest, "{{- end }}"];
}

function printEntry(key: string, value: unknown, depth: number): readonly string[] {
  if (value instanceof ChartOnly) return printEntry(key, value.tree, depth);
  if (value instanceof Spread) return printSpread(value, depth);
  if (value instanceof Conditional) {
    return printCondition(
      value.condition,
      printEntry(key, value.yes, depth),
      value.no === undefined ? undefined : printEntry(key, value.no, depth),
    );
  }
  const pad = " ".repeat(depth);
  const name = `${pad}${printPlain(key)}:`;
  if (value instanceof FileText) return [`${name} |`, printFile(value, depth + 2)];
  if (value instanceof Lines) return [`${name} |`, ...printLines(value, depth + 2)];
  if (isLong(value)) return [`${name} |`, ...printBlock(value, depth + 2)];
  if (isScalar(value)) return [`${name} ${printScalar(value)}`];
  if (value instanceof Expression) return [name, printStructure(value, depth + 2)];
  if (Array.isArray(value)) {
    return value.length === 0
      ? [`${name} []`]
      : [name, ...value.flatMap((item) => printItem(item, depth + 2))];
  }
  const entries = Object.entries(value as object);
  if (entries.length === 0) return [`${name} {}`];
  const [only] = entries.length === 1 ? entries.map(([, inner]) => inner) : [];
  // Not even its name, where there is nothing in it.
  if (only instanceof Spread)
    return printCondition(filled(only.of), [name, printStructure(only.of, depth + 2)]);
  return [name, ...entries.flatMap(([inner, one]) => printEntry(inner, one, depth + 2))];
}

function printItem(item: unknown, depth: number): readonly string[] {
  if (item instanceof ChartOnly) return printItem(item.tree, depth);
  if (item instanceof Spread) return printSpread(item, depth);
  if (item instanceof Each) {
    return [`{{- range ${item.list.go} }}`, ...printItem(item.tree, depth), "{{- end }}"];
  }
  if (item instanceof Conditional) {
    return printCondition(
      item.condition,
      printItem(item.yes, depth),
      item.no === undefined ? undefined : printItem(item.no, depth),
    );
  }
  const pad = " ".repeat(depth);
  if (isLong(item)) return [`${pad}- |`, ...printBlock(item, depth + 2)];
  if (isScalar(item)) return [`${pad}- ${printScalar(item)}`];
  if (item instanceof Expression) return [`${pad}-`, printStructure(item, depth + 2)];
  const [first = "", ...rest] = Object.entries(item as object).flatMap(([key, value]) =>
    printEntry(key, value, depth + 2),
  );
  // The dash cannot share a line with a condition.
  if (first.startsWith("{{")) return [`${pad}-`, first, ...rest];
  return [`${pad}- ${first.trimStart()}`, ...rest];
}

/** Of several lines, the last of which ends as the others do. */
function isLong(value: unknown): value is string {
  return typeof value === "string" && value.includes("\n", 0) && value.endsWith("\n");
}

function printBlock(text: string, depth: number): readonly string[] {
  const written = text.trimEnd().split("\n");
  return written.map((line) => (line === "" ? "" : `${" ".repeat(depth)}${line}`));
}

function isScalar(value: unknown): boolean {
  if (value instanceof Expression) return value.kind !== "structure";
  return typeof value !== "object" || value === null;
}

function printScalar(value: unknown): string {
  if (!(value instanceof Expression)) return printPlain(value);
  // What is all expression may come to what YAML takes for a number.
  if (value.kind === "bare")
    return /^\{\{[^{}]*\}\}$/.test(value.inline) ? `"${value.inline}"` : value.inline;
  if (value.kind === "number") return `{{ int64 ${value.operand} }}`;
  return value.kind === "text" ? `{{ ${value.go} | quote }}` : `{{ ${value.go} }}`;
}

/** On one line, quoted where YAML asks for it. Helm would take braces in it for its own. */
function printPlain(value: unknown): string {
  const line = stringify(value, { lineWidth: 0, defaultStringType: "PLAIN", blockQuote: false }).trimEnd();
  return line.includes("{{") ? `{{ ${JSON.stringify(line)} }}` : line;
}

const printStructure = (value: Expression<unknown>, depth: number): string =>
  `${" ".repeat(depth)}{{- toYaml ${value.operand} | nindent ${depth} }}`;

const printFile = ({ go }: FileText, depth: number): string =>
  `${" ".repeat(depth)}{{- ${go} | trimSuffix "\\n" | nindent ${depth} }}`;

/** Nothing at all where there is nothing to spread. */
function printSpread({ of }: Spread<unknown>, depth: number): readonly string[] {
  return [`{{- with ${of.go} }}`, `${" ".repeat(depth)}{{- toYaml . | nindent ${depth} }}`, "{{- end }}"];
}

/** Text with expressions, such as notes. */
export function printText(text: Lines): string {
  return `${printLines(text, 0).join("\n")}\n`;
}

/** A file of helpers: what the templates use by name. */
export function printNamed(named: readonly Named<unknown>[]): string {
  return named.map(({ name, of }) => `{{- define "${name}" -}}\n{{ ${of.go} }}\n{{- end }}\n`).join("\n");
}

function printLines(value: Lines, depth: number): readonly string[] {
  const pad = " ".repeat(depth);
  return value.lines.flatMap((line) => {
    if (line instanceof Conditional) {
      const no = line.no === undefined ? undefined : [`${pad}${inlined(line.no)}`];
      return printCondition(line.condition, [`${pad}${inlined(line.yes)}`], no);
    }
    return [`${pad}${inlined(line)}`];
  });
}

/** What stands in for an empty line, which a condition after it would take away. */
const EMPTY = '{{ "" }}';
function inlined(line: string | Expression<string>): string {
  return typeof line === "string" ? line || EMPTY : line.inline;
}
