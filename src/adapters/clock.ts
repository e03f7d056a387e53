import { setTimeout } from "node:timers/promises";
import type { Clock } from "../ports/clock.ts";

export const systemClock: Clock = {
  now: () => Date.now(),
  async sleep(ms, stop) {
    await setTimeout(ms, undefined, stop === undefined ? {} : { signal: stop }).catch(() => {});
  },
};
