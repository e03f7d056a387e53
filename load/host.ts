/** Holds what a run is sent to, in a process of its own that a Ctrl-C of the terminal does not reach: it is wanted until the check is done. */
import { startRealSystem, startStandaloneSystem } from "./system.ts";

export type ToHost = { readonly start: "standalone" | "real" } | "faults" | "stop";
export type FromHost =
  | { readonly started: { readonly collectorUrl: string; readonly queryUrl: string } }
  | { readonly failed: { readonly message: string; readonly missing: boolean } }
  | { readonly faults: readonly string[] };

const parts = new AsyncDisposableStack();
let faults = (): readonly string[] => [];

const answer = (message: FromHost): void => void process.send?.(message);

async function start(which: "standalone" | "real"): Promise<void> {
  try {
    const system = await (which === "real" ? startRealSystem(parts) : startStandaloneSystem(parts));
    faults = () => system.faults();
    answer({ started: { collectorUrl: system.collectorUrl, queryUrl: system.queryUrl } });
  } catch (error) {
    const missing = error instanceof Error && error.name === "PartMissing";
    const message = !missing && error instanceof Error ? (error.stack ?? String(error)) : String(error);
    answer({ failed: { message, missing } });
    await stop();
  }
}

async function stop(): Promise<void> {
  await parts.disposeAsync();
  process.disconnect();
}

process.on("message", (message: ToHost) => {
  if (message === "faults") answer({ faults: faults() });
  else void (message === "stop" ? stop() : start(message.start));
});
// The one who started this is gone without a word.
process.on("disconnect", () => void parts.disposeAsync().finally(() => process.exit()));
