import * as fc from "fast-check";
import { queueScalerSpec } from "../../operator/queue-scaler.ts";
import type { Schema } from "../../operator/read-scaler.ts";

/** What the schema allows; what has a default, or need not be there, is not always there. */
function allowedBy(schema: Schema): fc.Arbitrary<unknown> {
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.type === "boolean") return fc.boolean();
  if (schema.type === "integer") {
    const { minimum: min = 0, maximum: max = 0 } = schema;
    return fc.oneof(fc.integer({ min, max }), fc.constantFrom(min, max));
  }
  if (schema.type === "string") {
    const { minLength = 0, maxLength = 0, pattern } = schema;
    const any = fc.string({ minLength, maxLength, unit: "binary" });
    return pattern === undefined ? any : fc.stringMatching(new RegExp(pattern), { maxLength });
  }
  const needed = (name: string, of: Schema) =>
    of.default === undefined && schema.required?.includes(name) === true;
  const properties = Object.entries(schema.properties ?? {});
  const requiredKeys = properties.filter(([name, of]) => needed(name, of)).map(([name]) => name);
  return fc.record(Object.fromEntries(properties.map(([name, of]) => [name, allowedBy(of)])), {
    requiredKeys,
  });
}

/** Such as nobody has in mind who reads a field. */
const odd: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    "",
    "..",
    "../..",
    "%2e%2e",
    "a/b/c",
    "1",
    "Act ",
    0,
    -1,
    -0,
    0.5,
    1e300,
    2 ** 53,
    true,
    [],
    {},
    [[]],
    "x".repeat(300),
    "\u0000",
    "\ud800",
    "\u{1f600}".repeat(255),
    { toString: 1, valueOf: null },
    JSON.parse('{"__proto__": {"min": 1, "max": 2}, "constructor": {"prototype": {}}}'),
  ),
  fc.jsonValue({ maxDepth: 3 }),
);

type Edit = (spec: Record<string, unknown>) => void;

/** Of every field that there is, at any depth. */
function pathsIn(schema: Schema, path: readonly string[] = []): readonly (readonly string[])[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, of]) => [
    [...path, name],
    ...pathsIn(of, [...path, name]),
  ]);
}

const edit: fc.Arbitrary<Edit> = fc
  .record({
    path: fc.constantFrom(...pathsIn(queueScalerSpec)),
    value: fc.option(odd, { nil: undefined }),
    /** A field of that name instead, which nobody knows. */
    beside: fc.option(fc.constantFrom("replica", "__proto__", "constructor", "toString"), {
      freq: 10,
      nil: undefined,
    }),
  })
  .map(({ path, value, beside }) => (spec) => {
    let at: unknown = spec;
    for (const name of path.slice(0, -1)) {
      if (typeof at !== "object" || at === null) return;
      at = (at as Record<string, unknown>)[name];
    }
    if (typeof at !== "object" || at === null) return;
    const name = beside ?? path.at(-1) ?? "";
    if (value === undefined) Reflect.deleteProperty(at, name);
    else Object.defineProperty(at, name, { value, enumerable: true, configurable: true, writable: true });
  });

/** A good one. */
export const goodSpec = allowedBy(queueScalerSpec) as fc.Arbitrary<Record<string, unknown>>;

/** What the API server lets through, what it would let through by another definition, and what is no spec at all. */
export const anySpec: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 3, arbitrary: goodSpec },
  {
    weight: 6,
    arbitrary: fc.tuple(goodSpec, fc.array(edit, { minLength: 1, maxLength: 4 })).map(([spec, edits]) => {
      const edited = structuredClone(spec);
      for (const one of edits) one(edited);
      return edited;
    }),
  },
  { weight: 1, arbitrary: odd },
);
