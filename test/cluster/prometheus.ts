import type { RuleState, Sample, Target } from "../parts/prometheus.ts";
import { type Forward, forward } from "./forward.ts";
import type { Namespace } from "./install.ts";

/** The release's own Prometheus, asked as a user asks it. */
export interface BundledPrometheus extends Disposable {
  query(expr: string): Promise<readonly Sample[]>;
  targets(): Promise<readonly Target[]>;
  /** Every rule of every group. */
  rules(): Promise<readonly RuleState[]>;
}

export async function reachPrometheus(namespace: Namespace, release: string): Promise<BundledPrometheus> {
  const way = await forward(namespace, `${release}-prometheus`, 9090);
  return {
    query: async (expr) => (await ask<{ result: readonly Sample[] }>(way, "query", { query: expr })).result,
    targets: async () => (await ask<{ activeTargets: readonly Target[] }>(way, "targets")).activeTargets,
    rules: async () => {
      const { groups } = await ask<{ groups: readonly { rules: readonly RuleState[] }[] }>(way, "rules");
      return groups.flatMap(({ rules }) => rules);
    },
    [Symbol.dispose]: () => way[Symbol.dispose](),
  };
}

async function ask<T>(
  { url }: Forward,
  path: string,
  parameters: Readonly<Record<string, string>> = {},
): Promise<T> {
  const answer = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(parameters).toString()}`, {
    signal: AbortSignal.timeout(20_000),
  });
  const body = (await answer.json()) as { readonly data: T; readonly error?: string };
  if (!answer.ok) throw new Error(`${path} ${JSON.stringify(parameters)}: ${answer.status} ${body.error}`);
  return body.data;
}
