import { parser } from "@prometheus-io/lezer-promql";

/** The series that an expression looks at, each as it is written there, without its range. */
export function selectorsOf(expr: string): readonly string[] {
  const found = new Set<string>();
  parser.parse(expr).iterate({
    enter({ name, from, to }) {
      if (name === "VectorSelector") found.add(expr.slice(from, to));
    },
  });
  return Array.from(found);
}

/** The metric that a selector is of. */
export const metricOf = (selector: string): string => /^[\w:]+/.exec(selector)?.[0] ?? "";
