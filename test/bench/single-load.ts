import autocannon from "autocannon";
import { singleBodies } from "./bodies.ts";
import type { LoadResult, SingleLoad } from "./load.ts";

/** Each connection keeps a copy of these, and goes round them. */
const BODIES = 200;

export async function singleLoad({ url, connections, seconds }: SingleLoad): Promise<LoadResult> {
  const result = await autocannon({
    url,
    method: "POST",
    connections,
    pipelining: 1,
    duration: seconds,
    headers: { "content-type": "application/json" },
    requests: singleBodies(BODIES).map((body) => ({ body })),
  });
  const refusals: Record<string, number> = {};
  for (const [status, { count }] of Object.entries(result.statusCodeStats)) {
    if (!status.startsWith("2")) refusals[status] = count;
  }
  if (result.errors > 0) refusals["none"] = result.errors;
  return {
    seconds: result.duration,
    requests: result["2xx"],
    events: result["2xx"],
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    refusals,
  };
}
