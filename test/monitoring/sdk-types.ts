import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { Ajv2020, type SchemaObject } from "ajv/dist/2020.js";

// The SDK has no JSON Schema of a dashboard, but types, made from the same source as Grafana's own. This reads those.

const resolve = createRequire(import.meta.url).resolve;
const MODULES = [
  "dashboard",
  "common",
  "prometheus",
  "timeseries",
  "stat",
  "heatmap",
  "statetimeline",
] as const;
type Module = (typeof MODULES)[number];
/** The SDK's modules by the type of a panel. */
const moduleOfPanel: Readonly<Record<string, Module>> = {
  timeseries: "timeseries",
  stat: "stat",
  heatmap: "heatmap",
  "state-timeline": "statetimeline",
};

const token = /"[^"]*"|[\w.]+|[{}[\]<>|;:?,()]/g;

/** Reads the type at the head of its tokens, in the SDK's plain way of writing them. */
class TypeReader {
  readonly #tokens: string[];
  readonly #module: Module;

  constructor(text: string, module: Module) {
    this.#tokens = text.match(token) ?? [];
    this.#module = module;
  }

  type(): SchemaObject {
    const either = [this.#one()];
    while (this.#takes("|")) either.push(this.#one());
    return either.length === 1 ? (either[0] ?? {}) : { anyOf: either };
  }

  /** Closed, as a literal of such a type would be. */
  object(): SchemaObject {
    const properties: Record<string, SchemaObject> = {};
    const required: string[] = [];
    this.#take("{");
    while (!this.#takes("}")) {
      const name = this.#next();
      if (this.#takes("(")) {
        // A method is of the builders alone.
        while (!this.#takes(";")) this.#next();
        continue;
      }
      if (!this.#takes("?")) required.push(name);
      this.#take(":");
      properties[name] = this.type();
      this.#take(";");
    }
    return { type: "object", properties, required, additionalProperties: false };
  }

  #one(): SchemaObject {
    let schema = this.#single();
    while (this.#takes("[")) {
      this.#take("]");
      schema = { type: "array", items: schema };
    }
    return schema;
  }

  #single(): SchemaObject {
    if (this.#tokens[0] === "{") return this.object();
    if (!this.#takes("(")) return this.#named(this.#next());
    const inside = this.type();
    this.#take(")");
    return inside;
  }

  #named(name: string): SchemaObject {
    if (name.startsWith('"')) return { const: JSON.parse(name) };
    if (name === "any") return {};
    if (["string", "number", "boolean", "null"].includes(name)) return { type: name };
    if (name === "Record") {
      this.#take("<");
      this.#take("string");
      this.#take(",");
      const additionalProperties = this.type();
      this.#take(">");
      return { type: "object", additionalProperties };
    }
    if (name === "cog.Dataquery") return { $ref: refTo("prometheus", "Dataquery") };
    const [head = "", ...rest] = name.split(".");
    const isModule = MODULES.some((module) => module === head);
    return isModule ? { $ref: refTo(head, rest.join(".")) } : { $ref: refTo(this.#module, name) };
  }

  #next(): string {
    const next = this.#tokens.shift();
    if (next === undefined) throw new Error(`a type of ${this.#module} ends too soon`);
    return next;
  }
  #takes(text: string): boolean {
    if (this.#tokens[0] !== text) return false;
    this.#tokens.shift();
    return true;
  }
  #take(text: string): void {
    const next = this.#next();
    if (next !== text) throw new Error(`a type of ${this.#module} has ${next} in place of ${text}`);
  }
}

const refTo = (module: string, name: string): string => `#/$defs/${module}.${name}`;

/** Every interface, enum and named type of a module. */
function definitionsOf(module: Module): Readonly<Record<string, SchemaObject>> {
  const folder = dirname(resolve(`@grafana/grafana-foundation-sdk/${module}`));
  const text = readFileSync(join(folder, "types.gen.d.ts"), "utf8").replaceAll(/\/\*[\s\S]*?\*\//g, "");
  const found: Record<string, SchemaObject> = {};
  for (const [, name = "", body = ""] of text.matchAll(/^export interface (\w+) (\{[\s\S]*?^\})/gm)) {
    found[`${module}.${name}`] = new TypeReader(body, module).object();
  }
  for (const [, name = "", body = ""] of text.matchAll(/^export type (\w+) = (.*);$/gm)) {
    found[`${module}.${name}`] = new TypeReader(body, module).type();
  }
  for (const [, name = "", body = ""] of text.matchAll(/^export declare enum (\w+) \{([\s\S]*?)^\}/gm)) {
    const values = Array.from(body.matchAll(/(\w+) = ("[^"]*"|-?\d+)/g), ([, member = "", value = ""]) => {
      found[`${module}.${name}.${member}`] = { const: JSON.parse(value) };
      return JSON.parse(value);
    });
    found[`${module}.${name}`] = { enum: values };
  }
  return found;
}

/** What of a dashboard's JSON is not of the SDK's types, each as a place and a fault. */
export function createCheck(): (dashboard: unknown) => readonly string[] {
  const definitions = Object.assign({}, ...MODULES.map(definitionsOf));
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  ajv.addSchema({ $id: "sdk", $defs: definitions });
  const faultsOf = (module: Module, name: string, value: unknown): readonly string[] => {
    const validate = ajv.getSchema(`sdk${refTo(module, name)}`);
    if (validate === undefined) throw new Error(`no type ${name} in ${module}`);
    if (validate(value) === true) return [];
    return (validate.errors ?? []).map(
      ({ instancePath, message = "", params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
    );
  };
  return (dashboard) => [
    ...faultsOf("dashboard", "Dashboard", dashboard),
    ...panelsIn(dashboard).flatMap(({ title, type, options, fieldConfig }) => {
      if (type === "row") return [];
      const module = moduleOfPanel[type];
      if (module === undefined) return [`${title}: no such panel as ${type}`];
      const hasFields = Object.hasOwn(definitions, `${module}.FieldConfig`);
      const ofFields = hasFields ? faultsOf(module, "FieldConfig", fieldConfig?.defaults.custom) : [];
      return [...faultsOf(module, "Options", options), ...ofFields].map((fault) => `${title}: ${fault}`);
    }),
  ];
}

interface PanelJson {
  readonly title: string;
  readonly type: string;
  readonly options?: unknown;
  readonly fieldConfig?: { readonly defaults: { readonly custom?: unknown } };
}
const panelsIn = (dashboard: unknown): readonly PanelJson[] =>
  (dashboard as { readonly panels?: readonly PanelJson[] }).panels ?? [];
