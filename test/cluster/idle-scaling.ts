import { test } from "vitest";
import type { Namespace } from "./install.ts";
import { conditionOf, eventsOf, statusOf, workerOf } from "./queue-scalers.ts";
import type { Working } from "./scaling.ts";
import { ingressSender } from "./ingress.ts";
import { SteadyClient } from "./steady.ts";

const poll = { timeout: 120_000, interval: 1000 };
const timeout = 300_000;
const secondsSince = (ms: number): string => ((Date.now() - ms) / 1000).toFixed(1);

async function scaleByHand(namespace: Namespace, worker: string, replicas: number): Promise<void> {
  await namespace.kubectl("scale", "deployment", worker, `--replicas=${replicas}`);
}

/** The tests of workers that have nothing to do: what values.yaml of these tests says of each shows here. */
export function idleScalingTests(working: () => Working): void {
  test.concurrent("a number that somebody sets is overridden by default", { timeout }, async ({ expect }) => {
    const { millrace } = working();
    const worker = workerOf("hourly-log");
    const current = async () => (await statusOf(millrace, worker)).currentReplicas;
    await expect.poll(current, poll).toBe(1);
    await scaleByHand(millrace, worker, 2);
    const setMs = Date.now();
    const noticed = async () =>
      (await eventsOf(millrace, worker)).map(({ reason, note }) => `${reason}: ${note}`);
    await expect
      .poll(noticed, poll)
      .toContainEqual(expect.stringMatching(/^ManualScale: .*2 replicas.*overrides/));
    await expect.poll(current, poll).toBe(1);
    console.log(`set by hand to 2: overridden after ${secondsSince(setMs)} s`);
  });

  test.concurrent("or stays for as long as the spec says, where it is respected", { timeout }, async ({
    expect,
  }) => {
    const { millrace } = working();
    const worker = workerOf("distinct-name");
    await expect.poll(async () => (await statusOf(millrace, worker)).currentReplicas, poll).toBe(1);
    await scaleByHand(millrace, worker, 2);
    const setMs = Date.now();
    await expect
      .poll(async () => conditionOf(millrace, worker, "Paused"), poll)
      .toMatchObject({
        status: "True",
        reason: "ManualScale",
        message: expect.stringMatching(/2 replicas.*stay until/) as string,
      });
    const { reason, currentReplicas, respectedUntil = "" } = await statusOf(millrace, worker);
    expect({ reason, currentReplicas }).toEqual({ reason: "ManualScale", currentReplicas: 2 });
    await expect
      .poll(async () => statusOf(millrace, worker), poll)
      .toMatchObject({ currentReplicas: 1, desiredReplicas: 1 });
    expect(Date.now()).toBeGreaterThan(Date.parse(respectedUntil));
    console.log(`set by hand to 2, respected for 10 s: taken back after ${secondsSince(setMs)} s`);
  });

  test.concurrent("where the least is none, none is left, and the first event wakes one", {
    timeout,
  }, async ({ expect }) => {
    const { millrace, url, ledger } = working();
    const worker = workerOf("account-name");
    await expect
      .poll(async () => statusOf(millrace, worker), poll)
      .toMatchObject({ currentReplicas: 0, desiredReplicas: 0, reason: "Idle" });
    // Also none that is on its way out: it would still take what comes.
    const pods = async () => millrace.list("pods", "app.kubernetes.io/component=worker-account-name");
    await expect.poll(pods, poll).toEqual([]);
    using send = ingressSender(url, 1);
    const known = ledger.size;
    const postedMs = Date.now();
    const client = new SteadyClient(send, ledger, 1000);
    await client.finish();
    expect(client.failures).toEqual([]);
    const first = Array.from(ledger.all())[known]?.username ?? "";
    const account = async () => (await fetch(`${url}/accounts/${first}`)).status;
    await expect.poll(account, { timeout: 60_000, interval: 250 }).toBe(200);
    console.log(`from no worker: the first event is applied ${secondsSince(postedMs)} s after it was posted`);
  });
}
