import { parser } from "@prometheus-io/lezer-promql";

type SyntaxNode = ReturnType<typeof parser.parse>["topNode"];

export interface Matcher {
  readonly label: string;
  readonly operator: string;
  readonly value: string;
}

/** A selector of an expression, with what is done to it. */
export interface Selector {
  readonly metric: string;
  /** Labels that it is matched by. */
  readonly labels: readonly string[];
  readonly matchers: readonly Matcher[];
  /** Whether it has a range, and the function that is given that. */
  readonly function: string | undefined;
}

export interface Expression {
  /** Texts that are no PromQL; none in an expression that can be asked. */
  readonly errors: readonly string[];
  readonly selectors: readonly Selector[];
  /** Labels that something is grouped or matched by. */
  readonly groupings: readonly string[];
  /** Labels that a series of the answer may have; undefined where that is all of its metric's. */
  readonly answer: readonly string[] | undefined;
}

export function expressionOf(expr: string): Expression {
  const text = ({ from, to }: { readonly from: number; readonly to: number }) => expr.slice(from, to);
  const errors: string[] = [];
  const selectors: Selector[] = [];
  const groupings = new Set<string>();
  const tree = parser.parse(expr);
  tree.iterate({
    enter({ type, name, node }) {
      if (type.isError) errors.push(`${text(node)} at ${node.from}`);
      if (name === "VectorSelector") selectors.push(selectorOf(node, text));
      if (name === "GroupingLabels")
        for (const label of node.getChildren("LabelName")) groupings.add(text(label));
    },
  });
  const answer = answerOf(tree.topNode, text);
  // A quantile is taken over the buckets, so that none of them is left.
  const isQuantile = expr.startsWith("histogram_quantile(");
  return {
    errors,
    selectors,
    groupings: Array.from(groupings),
    answer: isQuantile ? answer?.filter((label) => label !== "le") : answer,
  };
}

type TextOf = (node: SyntaxNode) => string;

function selectorOf(node: SyntaxNode, text: TextOf): Selector {
  const metric = node.getChild("Identifier") ?? node.getChild("MetricName");
  const written = node.getChild("LabelMatchers")?.getChildren("UnquotedLabelMatcher") ?? [];
  const part = (of: SyntaxNode, name: string) => {
    const child = of.getChild(name);
    return child === null ? "" : text(child);
  };
  const matchers = written.map((one) => ({
    label: part(one, "LabelName"),
    operator: part(one, "MatchOp"),
    value: part(one, "StringLiteral").slice(1, -1),
  }));
  let above = node.parent;
  while (above !== null && ["OffsetExpr", "ParenExpr"].includes(above.name)) above = above.parent;
  const call = above?.name === "MatrixSelector" ? callAbove(above) : undefined;
  const called = call?.getChild("FunctionIdentifier");
  return {
    metric: metric === null ? "" : text(metric),
    labels: matchers.map(({ label }) => label),
    matchers,
    function: called === null || called === undefined ? undefined : text(called),
  };
}

function callAbove(node: SyntaxNode): SyntaxNode | undefined {
  let above: SyntaxNode | null = node.parent;
  while (above !== null && above.name !== "FunctionCall") above = above.parent;
  return above ?? undefined;
}

/** Of an aggregation its labels; of an operation on two sides those of the left one, or else of the right one. */
function answerOf(node: SyntaxNode, text: TextOf): readonly string[] | undefined {
  if (node.name === "AggregateExpr") {
    const labels = node.getChild("AggregateModifier")?.getChild("GroupingLabels")?.getChildren("LabelName");
    return labels?.map(text) ?? [];
  }
  if (node.name === "VectorSelector" || node.name === "MatrixSelector") return undefined;
  const parts = [...inner(node, "AggregateExpr"), ...inner(node, "VectorSelector")];
  const first = parts.toSorted((a, b) => a.from - b.from)[0];
  return first === undefined ? [] : answerOf(first, text);
}

/** Nodes of a name below a node, without those inside of another. */
function inner(node: SyntaxNode, name: string): readonly SyntaxNode[] {
  const found: SyntaxNode[] = [];
  const look = (one: SyntaxNode) => {
    for (let child = one.firstChild; child !== null; child = child.nextSibling) {
      if (child.name === name) found.push(child);
      else if (child.name !== "AggregateExpr") look(child);
    }
  };
  look(node);
  return found;
}
