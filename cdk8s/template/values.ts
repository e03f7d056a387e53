import { Expression, type Kind, type Scope } from "./expression.ts";

/** JSON Schema, draft 7, as far as Helm needs it. */
export type Schema = Readonly<Record<string, unknown>>;

/** One value of the chart: what stands in values.yaml, in the schema and in the reference, and where it is used. */
export class Value<T> extends Expression<T> {
  readonly path: readonly string[];
  readonly default: T;
  readonly sentence: string;
  readonly schema: Schema;

  constructor(path: readonly string[], { kind, default: fallback, sentence, schema }: Declaration<T>) {
    super(kind, {
      go: `$.Values.${path.join(".")}`,
      evaluate: ({ values }: Scope) =>
        path.reduce<unknown>(
          (at, key) => (at as Readonly<Record<string, unknown>> | undefined)?.[key],
          values,
        ) as T,
    });
    this.path = path;
    this.default = fallback;
    this.sentence = sentence;
    this.schema = schema;
  }
}

export interface Declaration<T> {
  readonly kind: Kind;
  readonly default: T;
  readonly sentence: string;
  readonly schema: Schema;
}
export class Group<G extends Members> {
  readonly sentence: string;
  readonly members: G;
  /** Further conditions on the group, such as a value that another one makes necessary. */
  readonly schema: Schema;
  constructor(sentence: string, members: G, schema: Schema) {
    this.sentence = sentence;
    this.members = members;
    this.schema = schema;
  }
}
export interface Members {
  readonly [name: string]: Declaration<unknown> | Group<Members>;
}
/** The declared values at their places, each to be used as an expression. */
export type Values<G extends Members> = {
  readonly [K in keyof G]: G[K] extends Group<infer Inner>
    ? Values<Inner>
    : G[K] extends Declaration<infer T>
      ? Value<T>
      : never;
};

export function group<const G extends Members>(sentence: string, members: G, schema: Schema = {}): Group<G> {
  return new Group(sentence, members, schema);
}

export function textValue(fallback: string, sentence: string, schema: Schema = {}): Declaration<string> {
  return { kind: "text", default: fallback, sentence, schema: { type: "string", ...schema } };
}
/** The name of an object of Kubernetes, or nothing. */
export function nameValue(fallback: string, sentence: string): Declaration<string> {
  return {
    kind: "bare",
    default: fallback,
    sentence,
    schema: { type: "string", pattern: "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$", maxLength: 253 },
  };
}
export function choiceValue<const T extends string>(
  fallback: NoInfer<T>,
  choices: readonly T[],
  sentence: string,
): Declaration<T> {
  return { kind: "bare", default: fallback, sentence, schema: { type: "string", enum: choices } };
}
export function integerValue(
  fallback: number,
  [minimum, maximum]: readonly [number, number],
  sentence: string,
): Declaration<number> {
  return { kind: "number", default: fallback, sentence, schema: { type: "integer", minimum, maximum } };
}
export function toggle(fallback: boolean, sentence: string): Declaration<boolean> {
  return { kind: "boolean", default: fallback, sentence, schema: { type: "boolean" } };
}
/** A part of a manifest as Kubernetes has it, which is checked by the API server. */
export function structure<T extends object>(
  fallback: T,
  sentence: string,
  schema: Schema = {},
): Declaration<T> {
  const type = Array.isArray(fallback) ? { type: "array", items: { type: "object" } } : { type: "object" };
  return { kind: "structure", default: fallback, sentence, schema: { ...type, ...schema } };
}
/** Such as labels. */
export function textMap(
  fallback: Record<string, string>,
  sentence: string,
  schema: Schema = {},
): Declaration<Record<string, string>> {
  return structure(fallback, sentence, { additionalProperties: { type: "string" }, ...schema });
}

/** Gives every declared value its place. */
export function placed<G extends Members>(members: G, path: readonly string[] = []): Values<G> {
  const entries = Object.entries(members).map(([name, member]) => {
    const at = [...path, name];
    return [name, member instanceof Group ? placed(member.members, at) : new Value(at, member)];
  });
  return Object.fromEntries(entries) as Values<G>;
}

/** The defaults as the tree that values.yaml holds. */
export function defaultsOf(members: Members): Readonly<Record<string, unknown>> {
  const entries = Object.entries(members).map(([name, member]) => [
    name,
    member instanceof Group ? defaultsOf(member.members) : member.default,
  ]);
  return Object.fromEntries(entries);
}

/** What a user sets over the defaults, as Helm does it: maps are merged, all else is replaced, and null takes away. */
export function merged(under: unknown, over: unknown): unknown {
  if (!isMap(under) || !isMap(over)) return over === undefined ? under : over;
  const result: Record<string, unknown> = { ...under };
  for (const [key, value] of Object.entries(over)) {
    if (value === null) delete result[key];
    else result[key] = merged(result[key], value);
  }
  return result;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
