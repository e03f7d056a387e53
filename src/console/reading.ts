import { Type } from "typebox";
import { Compile } from "typebox/compile";
import { type Samples, samplesIn } from "./prometheus-text.ts";
import type { OperatorDecisions } from "./snapshot.ts";

/** What one process told of itself at one time. */
export interface Reading {
  /** Milliseconds of a clock that is never set. */
  readonly atMs: number;
  readonly samples: Samples;
  /** Of an operator alone. */
  readonly decisions: OperatorDecisions | undefined;
}
/** How a process is asked; rejects with the reason why there is no answer. */
export type Read = (stop: AbortSignal) => Promise<Omit<Reading, "atMs">>;

/** The metrics that figures are made of. */
const NAMES: ReadonlySet<string> = new Set([
  "process_start_time_seconds",
  "millrace_events_total",
  "millrace_queue_messages",
  "millrace_events_applied_total",
  "millrace_oldest_delivery_age_seconds",
  "millrace_wait_objective_seconds",
  "millrace_operator_leading",
  "millrace_scaler_desired_replicas",
  "millrace_scaler_current_replicas",
  "millrace_scaler_ready_replicas",
  "millrace_scaler_min_replicas",
  "millrace_scaler_max_replicas",
  "millrace_scaler_forecast_wait_seconds",
  "millrace_scaler_objective_seconds",
  "millrace_scaler_limited",
  "millrace_scaler_bottleneck",
]);

/** More than any process has to say: an answer that is longer is not one of ours. */
const MAX_BYTES = 8 * 1024 * 1024;

/** Reads this process itself. */
export function readOwn(textOf: (names: Iterable<string>) => Promise<string>): Read {
  return async () => ({ samples: samplesIn(await textOf(NAMES), NAMES), decisions: undefined });
}

/** Reads the admin port at `address`, such as `10.0.0.3:9090`. */
export function readAdmin(address: string, role: string): Read {
  return async (stop) => {
    const [metrics, decisions] = await Promise.all([
      bodyOf(`http://${address}/metrics`, stop),
      role === "operator" ? bodyOf(`http://${address}/decisions`, stop) : undefined,
    ]);
    return {
      samples: samplesIn(metrics, NAMES),
      decisions: decisions === undefined ? undefined : decisionsIn(decisions),
    };
  };
}

async function bodyOf(url: string, stop: AbortSignal): Promise<string> {
  const response = await fetch(url, { signal: stop, redirect: "error" });
  if (!response.ok) {
    await response.body?.cancel();
    throw new Error(`${new URL(url).pathname} answers ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) throw new Error(`${new URL(url).pathname} answers more than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

const known = Type.Union([Type.Number(), Type.Null()]);
const of = { namespace: Type.String(), scaler: Type.String(), atMs: Type.Number() };
const why = { reason: Type.String(), message: Type.String() };
const decisionsSchema = Compile(
  Type.Object({
    leading: Type.Boolean(),
    scalers: Type.Array(Type.Object({ ...of, ...why, desired: known, current: known })),
    changes: Type.Array(Type.Object({ ...of, ...why, from: Type.Number(), to: Type.Number() })),
  }),
);

function decisionsIn(text: string): OperatorDecisions {
  const decisions: unknown = JSON.parse(text);
  if (!decisionsSchema.Check(decisions)) throw new Error("/decisions answers something else than decisions");
  return decisions;
}
