import { beforeAll, describe, expect, inject } from "vitest";
import { type ConsumerFuzzResult, fuzzConsumer } from "../fuzz/consumer.ts";
import { tryAttack } from "../security/try.ts";

const broker = inject("broker");

/** What a worker may come to beside its heap of 96 MiB; its memory does not grow with the messages. */
const MOST_MIB = 400;

describe.skipIf(broker === undefined)("workers among two thousand messages of any kind", () => {
  let result: ConsumerFuzzResult;
  beforeAll(async () => {
    const at = broker ?? { url: "", managementUrl: "" };
    const tell = (text: string): void => void process.stderr.write(`consumer: ${text}`);
    result = await fuzzConsumer({ messages: 2000, seed: 20_261_124, broker: at, tell });
  }, 900_000);

  tryAttack("forgedMessages", async () => {
    const { sent, counted, deadLetters, reasonless, ended, mostMib } = result;
    expect(sent.good).toBeGreaterThan(500);
    expect(counted).toEqual({ hourly: sent.good, days: sent.good, users: sent.users });
    expect(deadLetters).toEqual([sent.bad, sent.bad, sent.bad]);
    expect({ reasonless, ended }).toEqual({ reasonless: 0, ended: 0 });
    expect(mostMib).toBeLessThan(MOST_MIB);
  });

  tryAttack("forgedId", async () => {
    expect(result.forged).toBe(0);
    expect(result.counted.hourly).toBe(result.sent.good);
  });
});
