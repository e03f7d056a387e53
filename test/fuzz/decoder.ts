import { once } from "node:events";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { Told, Work } from "./decoder-thread.ts";
import { inputOf } from "./decoder-inputs.ts";

export interface DecoderFuzzOptions {
  readonly inputs: number;
  readonly seed: number;
  readonly tell: (text: string) => void;
}

/** An input on which the decoder has spent so long hangs; the longest are read in milliseconds. */
const HANG_MS = 60_000;
const LOOK_MS = 1000;
/** How often the progress is told, in looks. */
const TELL_EVERY = 10;

/** Feeds the decoder of messages such inputs, in a thread that is watched. Resolves to whether nothing was found. */
export async function fuzzDecoder({ inputs, seed, tell }: DecoderFuzzOptions): Promise<boolean> {
  const done = new Int32Array(new SharedArrayBuffer(4));
  const workerData: Work = { seed, from: 0, to: inputs, done };
  const startedMs = performance.now();
  const thread = new Worker(join(import.meta.dirname, "decoder-thread.ts"), { workerData });
  const hung = Promise.withResolvers<number>();
  const seen = { done: -1, sinceMs: 0, looks: 0 };
  const watch = setInterval(() => {
    const now = Atomics.load(done, 0);
    if (now !== seen.done) Object.assign(seen, { done: now, sinceMs: performance.now() });
    else if (performance.now() - seen.sinceMs > HANG_MS) hung.resolve(now);
    seen.looks += 1;
    if (seen.looks % TELL_EVERY === 0) tell(`${now} of ${inputs} inputs\n`);
  }, LOOK_MS);
  try {
    const told = once(thread, "message").then(([one]) => one as Told);
    const ended = await Promise.race([told, hung.promise]);
    const seconds = (performance.now() - startedMs) / 1000;
    if (typeof ended === "number") {
      tell(`HANG: input ${ended} of seed ${seed} is not read after ${HANG_MS} ms\n${shown(seed, ended)}`);
      return false;
    }
    const { envelopes, refused, slowestMs, slowestIndex, fault } = ended;
    if (fault !== undefined) {
      tell(`FAULT: input ${fault.index} of seed ${seed}: ${fault.message}\n${shown(seed, fault.index)}`);
      return false;
    }
    tell(
      `${inputs} inputs of seed ${seed} in ${seconds.toFixed(1)} s: ${envelopes} read, ${refused} refused; ` +
        `the slowest, ${slowestIndex}, took ${slowestMs.toFixed(1)} ms of the processor for ${inputOf(seed, slowestIndex).body.byteLength} bytes\n`,
    );
    return true;
  } finally {
    clearInterval(watch);
    await thread.terminate();
  }
}

function shown(seed: number, index: number): string {
  const { contentType, body } = inputOf(seed, index);
  const bytes = Buffer.from(body);
  return `content type ${JSON.stringify(contentType)}, ${bytes.length} bytes, from the first: ${JSON.stringify(bytes.toString("latin1", 0, 2000))}\n`;
}
