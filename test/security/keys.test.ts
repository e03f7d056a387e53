import { createHash, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { newKey } from "../../src/commands/key.ts";
import { type KeyCheck, KeyRing } from "../../src/http/keys.ts";
import { event, post } from "../collector/client.ts";
import { type Standalone, startStandalone } from "../flow/standalone.ts";
import { tryAttack } from "./try.ts";

const { key, hash } = newKey();
let millrace: Standalone;
beforeAll(async () => {
  const environment = { MILLRACE_WRITE_KEY_HASHES: hash };
  millrace = await startStandalone({ environment, readyTimeoutMs: 100_000 });
}, 110_000);
afterAll(async () => {
  await millrace?.[Symbol.asyncDispose]();
});
const guess = (text: string) =>
  post(millrace, "/event", event("guessed"), { authorization: `Bearer ${text}` });

tryAttack("guessedKey", async (answered) => {
  const near = Array.from(
    key,
    (letter, at) => `${key.slice(0, at)}${letter === "A" ? "B" : "A"}${key.slice(at + 1)}`,
  );
  const random = Array.from({ length: 500 }, () => newKey().key);
  for (const one of [...near, ...random]) answered((await guess(one)).status);
  const { authorization } = { authorization: `Bearer ${key}` };
  expect((await post(millrace, "/event", event("right"), { authorization })).status).toBe(200);
  expect((await post(millrace, "/console/event", event("guessed"))).status).toBe(404);
  const marked = await fetch(`${millrace.queryUrl}/metrics/hourly_logs/per_user?metric=guessed`);
  expect(await marked.json()).toEqual([]);
});

const ROUNDS = 20_000;

tryAttack("keyTiming", async () => {
  const rules = { writeKeyHashes: [hash], keysFile: "", keysRequiredFor: [] };
  const check = new KeyRing(rules, [], Date.now).checkOf("write");
  if (check === undefined) throw new Error("no key is asked for");
  // The bytes that the hash of a guess has in common with the right one: an attacker can have two or three, at a price.
  const near = keyWithHashLike(hash.slice(0, 4));
  const far = keyWithHashLike(hash.startsWith("0") ? "f" : "0");
  const times = { near: [] as number[], far: [] as number[] };
  for (let round = -1000; round < ROUNDS; round += 1) {
    // In turn, and each first every other time: the clock and the machine treat both alike.
    for (const kind of round % 2 === 0 ? (["near", "far"] as const) : (["far", "near"] as const)) {
      const header = `Bearer ${kind === "near" ? near : far}`;
      const from = process.hrtime.bigint();
      const isRefused = refused(check, header);
      const nanoseconds = Number(process.hrtime.bigint() - from);
      if (!isRefused) throw new Error("a wrong key was taken");
      if (round >= 0) times[kind].push(nanoseconds);
    }
  }
  const [a, b] = [figures(times.near), figures(times.far)];
  const t = (a.mean - b.mean) / Math.sqrt(a.variance / ROUNDS + b.variance / ROUNDS);
  process.stderr.write(
    `key comparison, ${ROUNDS} times each: two bytes of the hash right, median ${a.median} ns, none right ${b.median} ns; ` +
      `Welch's t of the middle 90 % ${t.toFixed(2)} (4.5 is where tests for leaks begin to suspect one; other work on the machine reaches it, too)\n`,
  );
  // A time is no thing to rely on, on a machine with other work: how it is compared is.
  const source = await readFile(resolve(import.meta.dirname, "../../src/http/keys.ts"), "utf8");
  const lookUps = source.match(/(?:#known|known)\.(?:get|set|has)\([^;]*/g) ?? [];
  expect(lookUps).toHaveLength(3);
  for (const one of lookUps) expect(one).toMatch(/^#?known\.[gs]et\(this\.#blinded\(/);
  expect(source).toContain('createHmac("sha256", this.#blinding)');
});

function refused(check: KeyCheck, header: string): boolean {
  try {
    check(header);
    return false;
  } catch {
    return true;
  }
}

function keyWithHashLike(start: string): string {
  for (;;) {
    const one = randomBytes(32).toString("base64url");
    if (createHash("sha256").update(one).digest("hex").startsWith(start)) return one;
  }
}

/** Of the middle nine tenths: what the machine did meanwhile is at the ends. */
function figures(all: readonly number[]): {
  readonly median: number;
  readonly mean: number;
  readonly variance: number;
} {
  const sorted = all.toSorted((a, b) => a - b);
  const middle = sorted.slice(Math.floor(sorted.length * 0.05), Math.ceil(sorted.length * 0.95));
  const mean = middle.reduce((sum, one) => sum + one, 0) / middle.length;
  const variance = middle.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (middle.length - 1);
  return { median: sorted[sorted.length >> 1] ?? 0, mean, variance };
}
