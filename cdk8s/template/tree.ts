import { createHash } from "node:crypto";
import { Expression, filled, type Scope, type Text } from "./expression.ts";

/** What stands at a place of a manifest only under a condition: a property of a map, an item of a list, a line of a text. */
export class Conditional<out T> {
  readonly condition: Expression<boolean>;
  readonly yes: T;
  readonly no: T | undefined;
  constructor(condition: Expression<boolean>, yes: T, no: T | undefined) {
    this.condition = condition;
    this.yes = yes;
    this.no = no;
  }
}

/** Entries of a map, or items of a list, that take the place of this one; in a map, its key is of no account. */
export class Spread<out T> {
  readonly of: Expression<T>;
  constructor(of: Expression<T>) {
    this.of = of;
  }
}

/** One tree for each item of a list, all of which take the place of this one in another list. */
export class Each<out T> {
  readonly list: Expression<readonly object[]>;
  readonly tree: T;
  constructor(list: Expression<readonly object[]>, tree: T) {
    this.list = list;
    this.tree = tree;
  }
}

/** Text of several lines. */
export class Lines {
  readonly lines: readonly (Text | Conditional<Text>)[];
  constructor(lines: readonly (Text | Conditional<Text>)[]) {
    this.lines = lines;
  }
}

/** What the chart has and the plain manifests have not. */
export class ChartOnly<out T> {
  readonly tree: T;
  constructor(tree: T) {
    this.tree = tree;
  }
}

/** The manifest of a Kubernetes type, in which an expression may stand for every part. */
export type Templated<T> =
  | Expression<NonNullable<T>>
  | Conditional<unknown>
  | ChartOnly<unknown>
  | (T extends string
      ? T | Lines | Expression<string>
      : T extends readonly (infer Item)[]
        ? readonly (Templated<Item> | Spread<T> | Each<Templated<Item>>)[]
        : T extends object
          ? { readonly [K in keyof T]: Templated<T[K]> | (string extends K ? Spread<T> : never) }
          : T);

export const when = <T>(condition: Expression<boolean>, yes: T, no?: T): Conditional<T> =>
  new Conditional(condition, yes, no);
/** There only where it is filled. */
export const ifFilled = <T>(what: Expression<T>): Conditional<Expression<T>> => when(filled(what), what);
export const spread = <T>(of: Expression<T>): Spread<T> => new Spread(of);
export const each = <T>(list: Expression<readonly object[]>, tree: T): Each<T> => new Each(list, tree);
export const lines = (...all: readonly (Text | Conditional<Text>)[]): Lines => new Lines(all);

/** The SHA-256 of a map of texts, in the form that a template can work out as well: an annotation that rolls the pods. */
export function checksum(data: Readonly<Record<string, Expression<string> | string>>): Expression<string> {
  const entries = Object.entries(data).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const values = entries.map(([, value]) =>
    value instanceof Expression ? value.operand : JSON.stringify(value),
  );
  return new Expression("text", {
    go: `join "\\n" (list ${values.join(" ")}) | sha256sum`,
    evaluate: (scope) => {
      const texts = entries.map(([, value]) => (value instanceof Expression ? value.evaluate(scope) : value));
      return createHash("sha256").update(texts.join("\n")).digest("hex");
    },
  });
}

/** The tree with every expression replaced by what it comes to. Undefined for what is left out. */
export function evaluateTree(tree: unknown, scope: Scope): unknown {
  if (tree instanceof Expression) return tree.evaluate(scope);
  if (tree instanceof Conditional) {
    return evaluateTree(tree.condition.evaluate(scope) ? tree.yes : tree.no, scope);
  }
  if (tree instanceof ChartOnly) return undefined;
  if (tree instanceof Lines) {
    const evaluated = tree.lines.map((line) => evaluateTree(line, scope));
    const kept = evaluated.filter((line): line is string => line !== undefined);
    return `${kept.join("\n")}\n`;
  }
  if (Array.isArray(tree)) {
    return tree
      .flatMap((item: unknown) => {
        if (item instanceof Spread) return item.of.evaluate(scope);
        if (item instanceof Each) return evaluateEach(item, scope);
        return [evaluateTree(item, scope)];
      })
      .filter((item) => item !== undefined);
  }
  if (typeof tree !== "object" || tree === null) return tree;
  const entries = Object.entries(tree).flatMap(([key, value]): [string, unknown][] => {
    if (value instanceof Spread) return Object.entries(value.of.evaluate(scope) as object);
    const evaluated = evaluateTree(value, scope);
    return evaluated === undefined ? [] : [[key, evaluated]];
  });
  // A map that is nothing but a spread is left out when that is empty, as a template does it.
  const all = Object.values(tree);
  if (all.length === 1 && all[0] instanceof Spread && entries.length === 0) return undefined;
  return Object.fromEntries(entries);
}

function evaluateEach({ list, tree }: Each<unknown>, scope: Scope): readonly unknown[] {
  return (list.evaluate(scope) as readonly Readonly<Record<string, string>>[]).map((item) =>
    evaluateTree(tree, { ...scope, item }),
  );
}
