import { setTimeout as sleep } from "node:timers/promises";
import type { Standalone } from "../flow/standalone.ts";
import type { Random } from "./random.ts";

export interface KillPlan {
  readonly kills: number;
  readonly seconds: number;
}
export interface KillerParts {
  readonly standalone: Standalone;
  readonly random: Random;
  /** Called just before some of the kills. */
  readonly surge: () => void;
}
export interface KillTally {
  kills: number;
  /** Of them: those of a process that was not ready yet. */
  early: number;
  readonly faults: string[];
}

/** Of so many kills, one is followed by another during the start. */
const EARLY_EVERY = 4;
const SURGE = 0.6;
const SURGE_LEAD_MS = 60;
/** Longest life of a process that is killed early: about the time a start takes. */
const EARLY_LIFE_MS = 1200;

/** Kills the process at random instants, one or two to each slot of the run, and leaves it running at the end. */
export async function runKiller(
  { standalone, random, surge }: KillerParts,
  plan: KillPlan,
  tally: KillTally,
): Promise<void> {
  const slotMs = (plan.seconds * 1000) / plan.kills;
  const begun = Date.now();
  for (let slot = 0; slot < plan.kills; slot += 1) {
    const at = begun + (slot + random.unit()) * slotMs;
    await sleep(Math.max(0, at - Date.now()));
    if (random.chance(SURGE)) {
      surge();
      await sleep(random.unit() * SURGE_LEAD_MS);
    }
    await kill(standalone, tally);
    if (slot % EARLY_EVERY === 0) await startAndKill(standalone, random.skewed(2, EARLY_LIFE_MS), tally);
    await restart(standalone);
  }
  await sleep(Math.max(0, begun + plan.seconds * 1000 - Date.now()));
}

async function kill(standalone: Standalone, tally: KillTally): Promise<void> {
  const exit = await standalone.kill("SIGKILL");
  if (exit.signal === "SIGKILL") tally.kills += 1;
  else tally.faults.push(`the process had ended by itself: ${JSON.stringify(exit)}\n${end(standalone)}`);
}

async function startAndKill(standalone: Standalone, lifeMs: number, tally: KillTally): Promise<void> {
  let ready = false;
  const started = standalone.restart().then(
    () => (ready = true),
    // Killed before it was ready, which is the purpose.
    () => undefined,
  );
  await sleep(lifeMs);
  if (!ready) tally.early += 1;
  await kill(standalone, tally);
  await started;
}

const RESTARTS = 5;

/** While the process was down, a socket of anyone's may have been given one of its ports. */
async function restart(standalone: Standalone): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await standalone.restart();
    } catch (error) {
      if (attempt === RESTARTS || !end(standalone).includes("EADDRINUSE")) throw error;
      await sleep(500);
    }
  }
}

function end(standalone: Standalone): string {
  return standalone.log().slice(-4096);
}
