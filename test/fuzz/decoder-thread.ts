import { parentPort, workerData } from "node:worker_threads";
import { checkDecoder, checkPrototypes } from "./decoder-check.ts";
import { inputOf } from "./decoder-inputs.ts";

/** What `fuzzDecoder` hands to its thread. */
export interface Work {
  readonly seed: number;
  readonly from: number;
  readonly to: number;
  /** The number of inputs that are done, for the watch. */
  readonly done: Int32Array<SharedArrayBuffer>;
}
/** What the thread tells: the first fault, or the figures at its end. */
export interface Told {
  readonly envelopes: number;
  readonly refused: number;
  /** Of the processor, whatever else the machine does. */
  readonly slowestMs: number;
  readonly slowestIndex: number;
  readonly fault: { readonly index: number; readonly message: string } | undefined;
}

function work({ seed, from, to, done }: Work): Told {
  let [envelopes, refused, slowestMs, slowestIndex] = [0, 0, 0, from];
  for (let index = from; index < to; index += 1) {
    const message = inputOf(seed, index);
    const before = process.threadCpuUsage();
    try {
      if (checkDecoder(message) === "envelope") envelopes += 1;
      else refused += 1;
      checkPrototypes();
    } catch (error) {
      const fault = {
        index,
        message: error instanceof Error ? (error.stack ?? error.message) : String(error),
      };
      return { envelopes, refused, slowestMs, slowestIndex, fault };
    }
    const { user, system } = process.threadCpuUsage(before);
    const tookMs = (user + system) / 1000;
    if (tookMs > slowestMs) [slowestMs, slowestIndex] = [tookMs, index];
    Atomics.store(done, 0, index + 1 - from);
  }
  return { envelopes, refused, slowestMs, slowestIndex, fault: undefined };
}

parentPort?.postMessage(work(workerData as Work));
