import { createHash } from "node:crypto";

/** What an expression can be told of besides values: one install of the chart. */
export interface Scope {
  /** Whole: defaults with what the user sets over them. */
  readonly values: unknown;
  readonly release: { readonly name: string; readonly namespace: string };
  readonly chart: { readonly version: string; readonly appVersion: string };
  /** That of an `Each`, within its tree. */
  readonly item?: Readonly<Record<string, string>>;
}

/** `bare` is text without anything that YAML would have to be told of by an escape, such as the name of an object. */
export type Kind = "text" | "bare" | "number" | "boolean" | "structure";

interface Forms<T> {
  /** A pipeline of Go's templates, without the braces. `$` in it is the root, also inside of a range. */
  readonly go: string;
  /** The same as `go`, as part of an unquoted scalar; by default `{{ go }}`. */
  readonly inline?: string;
  readonly evaluate: (scope: Scope) => T;
}

/** Something that the chart leaves to the install, and the plain manifests know: printed for the one, evaluated for the other. */
export class Expression<out T> {
  readonly kind: Kind;
  readonly go: string;
  readonly inline: string;
  readonly evaluate: (scope: Scope) => T;

  constructor(kind: Kind, { go, inline, evaluate }: Forms<T>) {
    this.kind = kind;
    this.go = go;
    this.inline = inline ?? `{{ ${go} }}`;
    this.evaluate = evaluate;
  }

  /** As an argument of a function. */
  get operand(): string {
    return /^("[^"]*"|[$.\w]+)$/.test(this.go) ? this.go : `(${this.go})`;
  }
}

export type Text = string | Expression<string>;

const quoted = (piece: string): string => JSON.stringify(piece);

function literal(piece: Text): Expression<string> {
  if (piece instanceof Expression) return piece;
  return new Expression(isBare(piece) ? "bare" : "text", {
    go: quoted(piece),
    inline: piece,
    evaluate: () => piece,
  });
}

export const releaseName = new Expression("bare", {
  go: "$.Release.Name",
  evaluate: ({ release }) => release.name,
});
export const releaseNamespace = new Expression("bare", {
  go: "$.Release.Namespace",
  evaluate: ({ release }) => release.namespace,
});
export const chartVersion = new Expression("bare", {
  go: "$.Chart.Version",
  evaluate: ({ chart }) => chart.version,
});
export const appVersion = new Expression("text", {
  go: "$.Chart.AppVersion",
  evaluate: ({ chart }) => chart.appVersion,
});

/** A template string of texts. It is bare where all its parts are. */
export function text(strings: TemplateStringsArray, ...parts: readonly Text[]): Expression<string> {
  const pieces = strings.flatMap((piece, at) => [piece, ...parts.slice(at, at + 1)]);
  const expressions = pieces.filter((piece) => piece instanceof Expression);
  const format = pieces.map((piece) => (piece instanceof Expression ? "%s" : piece.replaceAll("%", "%%")));
  const bare = pieces.every((piece) => (piece instanceof Expression ? piece.kind === "bare" : isBare(piece)));
  const operands = expressions.map(({ operand }) => ` ${operand}`).join("");
  return new Expression(bare ? "bare" : "text", {
    go:
      expressions.length === 0 ? quoted(literalText(pieces)) : `printf ${quoted(format.join(""))}${operands}`,
    inline: pieces.map((piece) => (piece instanceof Expression ? piece.inline : piece)).join(""),
    evaluate: (scope) =>
      pieces.map((piece) => (piece instanceof Expression ? piece.evaluate(scope) : piece)).join(""),
  });
}

const literalText = (pieces: readonly Text[]): string =>
  pieces.filter((piece) => typeof piece === "string").join("");
const isBare = (piece: string): boolean => /^[\w./-]*$/.test(piece);

/** A whole number as text, also where Helm has read it as a float, which it would print as 1e+06. */
export function digits(number: Expression<number>): Expression<string> {
  return new Expression("text", {
    go: `printf "%d" (int64 ${number.operand})`,
    evaluate: (scope) => String(number.evaluate(scope)),
  });
}

export function textOf(boolean: Expression<boolean>): Expression<string> {
  return new Expression("text", {
    go: `toString ${boolean.operand}`,
    evaluate: (scope) => String(boolean.evaluate(scope)),
  });
}

export function joined(list: Expression<readonly string[]>, separator: string): Expression<string> {
  return new Expression("text", {
    go: `join ${quoted(separator)} ${list.operand}`,
    evaluate: (scope) => list.evaluate(scope).join(separator),
  });
}

/** Rounded up to whole seconds, and `added` seconds on top. */
export function seconds(milliseconds: Expression<number>, added: number): Expression<number> {
  return new Expression("number", {
    go: `add (div (add (int64 ${milliseconds.operand}) 999) 1000) ${added}`,
    evaluate: (scope) => Math.floor((milliseconds.evaluate(scope) + 999) / 1000) + added,
  });
}

/** Neither false, 0, null, nor empty, as Go's templates have it. */
export function filled(what: Expression<unknown>): Expression<boolean> {
  return new Expression("boolean", {
    go: `not (empty ${what.operand})`,
    evaluate: (scope) => isFilled(what.evaluate(scope)),
  });
}

export function isFilled(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

export function not(condition: Expression<boolean>): Expression<boolean> {
  return new Expression("boolean", {
    go: /^not \((.*)\)$/.exec(condition.go)?.[1] ?? `not ${condition.operand}`,
    evaluate: (scope) => !condition.evaluate(scope),
  });
}

export function all(...conditions: readonly Expression<boolean>[]): Expression<boolean> {
  return new Expression("boolean", {
    go: `and ${conditions.map(({ operand }) => operand).join(" ")}`,
    evaluate: (scope) => conditions.every(({ evaluate }) => evaluate(scope)),
  });
}

export function any(...conditions: readonly Expression<boolean>[]): Expression<boolean> {
  return new Expression("boolean", {
    go: `or ${conditions.map(({ operand }) => operand).join(" ")}`,
    evaluate: (scope) => conditions.some(({ evaluate }) => evaluate(scope)),
  });
}

export function is<T extends string>(what: Expression<T>, other: T): Expression<boolean> {
  return new Expression("boolean", {
    go: `eq ${what.operand} ${quoted(other)}`,
    evaluate: (scope) => what.evaluate(scope) === other,
  });
}

export function more(what: Expression<number>, than: number | Expression<number>): Expression<boolean> {
  const bound = typeof than === "number" ? String(than) : than.operand;
  return new Expression("boolean", {
    go: `gt (int64 ${what.operand}) (int64 ${bound})`,
    evaluate: (scope) => what.evaluate(scope) > (typeof than === "number" ? than : than.evaluate(scope)),
  });
}

/** Whether a map has no such key, not even with nothing under it. */
export function lacks(map: Expression<object>, key: string): Expression<boolean> {
  return new Expression("boolean", {
    go: `not (hasKey ${map.operand} ${quoted(key)})`,
    evaluate: (scope) => !Object.hasOwn(map.evaluate(scope), key),
  });
}

/** A part of the item that the tree of an `Each` is made of. */
export function itemText(key: string): Expression<string> {
  return new Expression("text", { go: `.${key}`, evaluate: ({ item }) => item?.[key] ?? "" });
}

/** The first where the condition holds, else the second. Helm works both out. */
export function choose(condition: Expression<boolean>, yes: Text, no: Text): Expression<string> {
  const [first, second] = [literal(yes), literal(no)];
  const bare = [first, second].every(({ kind }) => kind === "bare");
  return new Expression(bare ? "bare" : "text", {
    go: `ternary ${first.operand} ${second.operand} ${condition.operand}`,
    evaluate: (scope) => (condition.evaluate(scope) ? first : second).evaluate(scope),
  });
}

/** The first that is filled. */
export function either(first: Expression<string>, second: Text): Expression<string> {
  const fallback = literal(second);
  const bare = [first, fallback].every(({ kind }) => kind === "bare");
  return new Expression(bare ? "bare" : "text", {
    go: `default ${fallback.operand} ${first.operand}`,
    evaluate: (scope) => first.evaluate(scope) || fallback.evaluate(scope),
  });
}

export function contains(what: Expression<string>, part: string): Expression<boolean> {
  return new Expression("boolean", {
    go: `contains ${quoted(part)} ${what.operand}`,
    evaluate: (scope) => what.evaluate(scope).includes(part),
  });
}

/** A name of at most `most` characters; of a longer one the beginning, and part of its SHA-256 so that two stay two. */
export function shortened(name: Expression<string>, most: number): Expression<string> {
  const kept = most - 6;
  const operand = name.operand;
  const short = `printf "%s-%s" (trunc ${kept} ${operand} | trimSuffix "-") (sha256sum ${operand} | trunc 5)`;
  return new Expression("bare", {
    go: `ternary (${short}) ${operand} (gt (len ${operand}) ${most})`,
    evaluate: (scope) => {
      const whole = name.evaluate(scope);
      if (whole.length <= most) return whole;
      return `${whole.slice(0, kept).replace(/-$/, "")}-${createHash("sha256").update(whole).digest("hex").slice(0, 5)}`;
    },
  });
}

/** Maps as one, of which a later one goes before an earlier one. */
export function overlaid(
  ...maps: readonly Expression<Record<string, string>>[]
): Expression<Record<string, string>> {
  return new Expression("structure", {
    go: `mergeOverwrite (dict) ${maps.map(({ operand }) => operand).join(" ")}`,
    evaluate: (scope) => Object.assign({}, ...maps.map(({ evaluate }) => evaluate(scope))),
  });
}

/** A map of one entry where the condition holds, else of none. */
export function entryWhere(
  condition: Expression<boolean>,
  key: Text,
  value: Text,
): Expression<Record<string, string>> {
  const [name, what] = [literal(key), literal(value)];
  return new Expression("structure", {
    go: `ternary (dict ${name.operand} ${what.operand}) (dict) ${condition.operand}`,
    evaluate: (scope) => (condition.evaluate(scope) ? { [name.evaluate(scope)]: what.evaluate(scope) } : {}),
  });
}

/** Whether the cluster has no such API, such as `monitoring.coreos.com/v1`. The plain manifests cannot tell, and take it to be there. */
export function lacksApi(version: string): Expression<boolean> {
  return new Expression("boolean", {
    go: `not ($.Capabilities.APIVersions.Has ${quoted(version)})`,
    evaluate: () => false,
  });
}

/** Whether an object is there already, of a kind of Kubernetes' own. Only a Helm that talks to a cluster can tell: else it is not. */
export function present(kind: string, name: Expression<string>): Expression<boolean> {
  return new Expression("boolean", {
    go: `not (empty (lookup "v1" ${quoted(kind)} $.Release.Namespace ${name.operand}))`,
    evaluate: () => false,
  });
}

/** Written once, in a file of helpers, and used by its name. */
export class Named<out T> extends Expression<T> {
  readonly name: string;
  readonly of: Expression<T>;
  constructor(name: string, of: Expression<T>) {
    super(of.kind, { go: `include ${quoted(name)} $`, evaluate: of.evaluate });
    this.name = name;
    this.of = of;
  }
}
