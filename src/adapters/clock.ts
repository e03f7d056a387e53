import { setTimeout } from "node:timers/promises";
import type { Clock } from "../ports/clock.ts";

async function sleep(ms: number, stop?: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, stop === undefined ? {} : { signal: stop }).catch(() => {});
}

/** For what must not stand still, or go twice, when somebody sets the system's clock: it goes on from when the process began. */
export const steadyClock: Clock = { now: () => performance.timeOrigin + performance.now(), sleep };

export const systemClock: Clock = { now: () => Date.now(), sleep };
