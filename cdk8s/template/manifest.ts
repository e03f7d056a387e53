import { ApiObject, type App, Chart, type IResolver, type ResolutionContext } from "cdk8s";
import type { Construct } from "constructs";
import { Expression, type Scope } from "./expression.ts";
import { printCondition, printTree } from "./print.ts";
import { ChartOnly, Conditional, Each, evaluateTree, Lines, Spread, type Templated } from "./tree.ts";

interface KubernetesType {
  apiVersion?: string;
  kind?: string;
  metadata?: unknown;
}
type Body<T extends KubernetesType> = Omit<
  { readonly [K in keyof T]: Templated<T[K]> },
  "apiVersion" | "kind"
>;
type Named = { readonly apiVersion: string; readonly kind: string };

/** Where a manifest is to be found: everywhere, where the condition holds, or in the chart alone. */
export interface Presence {
  readonly condition?: Expression<boolean>;
  readonly chartOnly?: boolean;
  /** What stops the install where it holds, and is more than a schema can tell. */
  readonly obstacle?: Obstacle;
}
export interface Obstacle {
  readonly condition: Expression<boolean>;
  readonly message: Expression<string>;
}

/** One object of the Kubernetes API, with expressions where it depends on the install. */
export class Manifest<T extends KubernetesType> extends ApiObject {
  readonly presence: Presence;

  constructor(scope: Construct, id: string, type: Named, body: Body<T>, presence: Presence = {}) {
    super(scope, id, { ...type, ...(body as object) });
    this.presence = presence;
  }
}

/** For `new App({ resolvers })`: leaves expressions in a manifest as tokens, which only `printManifests` can read. */
export class Tokens implements IResolver {
  readonly #nodes: unknown[] = [];

  resolve(context: ResolutionContext): void {
    if (isNode(context.value)) context.replaceValue(`\u0001${this.#nodes.push(context.value) - 1}`);
  }

  /** The tree of the manifest, with its expressions. */
  treeOf(manifest: ApiObject): unknown {
    return this.#restored(manifest.toJson());
  }

  #restored(tree: unknown): unknown {
    if (typeof tree === "string" && tree.startsWith("\u0001")) return this.#nodes[Number(tree.slice(1))];
    if (Array.isArray(tree)) return tree.map((item) => this.#restored(item));
    if (typeof tree !== "object" || tree === null) return tree;
    return Object.fromEntries(Object.entries(tree).map(([key, value]) => [key, this.#restored(value)]));
  }
}

function isNode(value: unknown): boolean {
  return [Expression, Conditional, Spread, Each, Lines, ChartOnly].some((type) => value instanceof type);
}

function manifestsOf(chart: Chart): readonly Manifest<KubernetesType>[] {
  return chart.node.findAll().filter((one): one is Manifest<KubernetesType> => "presence" in one);
}

/** The manifests of each chart of the app as a file of templates, by the chart's name. */
export function printManifests(app: App, tokens: Tokens): ReadonlyMap<string, string> {
  const files = app.charts.map((chart): [string, string] => {
    const documents = manifestsOf(chart).map((manifest) => {
      const { condition, obstacle } = manifest.presence;
      const stop =
        obstacle && printCondition(obstacle.condition, [`{{- fail ${obstacle.message.operand} }}`]);
      const printed = [...(stop ?? []), "---", ...printTree(tokens.treeOf(manifest))];
      return (condition === undefined ? printed : printCondition(condition, printed)).join("\n");
    });
    return [chart.node.id, `${documents.join("\n")}\n`];
  });
  return new Map(files);
}

/** The manifests as they are for one install. */
export function evaluateManifests(app: App, tokens: Tokens, scope: Scope): readonly object[] {
  return app.charts
    .flatMap(manifestsOf)
    .filter(({ presence }) => presence.chartOnly !== true && presence.condition?.evaluate(scope) !== false)
    .map((manifest) => {
      const { obstacle } = manifest.presence;
      if (obstacle?.condition.evaluate(scope)) throw new Error(obstacle.message.evaluate(scope));
      return evaluateTree(tokens.treeOf(manifest), scope) as object;
    });
}
