import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Ledger } from "../fault/ledger.ts";
import { ingressSender } from "./ingress.ts";
import type { Namespace } from "./install.ts";
import { conditionOf, eventsOf, leaderOf, statusOf, workerOf } from "./queue-scalers.ts";
import { SteadyClient } from "./steady.ts";
import { Timeline } from "./timeline.ts";

export interface Working {
  readonly millrace: Namespace;
  /** Of the ingress. */
  readonly url: string;
  readonly ledger: Ledger;
  /** Compares the views with all that was posted; empty lists where they are equal. */
  readonly verdict: () => Promise<{ readonly missing: readonly string[]; readonly wrong: readonly string[] }>;
}

const WORKER = workerOf("hourly-log");
/** As values.yaml of these tests has it. */
const MOST = 3;
/** More than two of the workers do. */
const EVENTS_PER_SECOND = 300;
const exact = { missing: [], wrong: [] };
const timeout = 300_000;
const secondsSince = (ms: number): string => ((Date.now() - ms) / 1000).toFixed(1);

/** The tests of the workers as the operator scales them. */
export function scalingTests(working: () => Working): void {
  const burst = () => {
    const { url, ledger } = working();
    const send = ingressSender(url, 64);
    return {
      client: new SteadyClient(send, ledger, EVENTS_PER_SECOND),
      [Symbol.dispose]: () => send[Symbol.dispose](),
    };
  };

  test("a burst brings the workers from the fewest to the most and back, and loses nothing", {
    timeout,
  }, async () => {
    const { millrace, verdict } = working();
    using timeline = new Timeline(millrace, WORKER);
    await expect.poll(() => timeline.ready, { timeout: 120_000 }).toBe(1);
    using load = burst();
    try {
      await expect.poll(() => timeline.ready, { timeout: 120_000 }).toBe(MOST);
    } finally {
      await load.client.finish();
      console.log(`burst of ${load.client.posted} events: ${timeline.line()}`);
    }
    const { reason, message, estimates, backlog } = await statusOf(millrace, WORKER);
    console.log(`at the end of it: ${JSON.stringify({ reason, message, estimates, backlog })}`);
    await expect.poll(() => timeline.replicas, { timeout: 180_000 }).toBe(1);
    console.log(`burst of ${load.client.posted} events, and after it: ${timeline.line()}`);
    expect(load.client.failures).toEqual([]);
    expect(await verdict()).toEqual(exact);
  });

  test("when the leading operator dies in a burst, another scales in its place", { timeout }, async () => {
    const { millrace, verdict } = working();
    using timeline = new Timeline(millrace, WORKER);
    await expect.poll(() => timeline.ready, { timeout: 120_000 }).toBe(1);
    using load = burst();
    const dead = await leaderOf(millrace);
    await millrace.kubectl("delete", "pod", dead.pod, "--grace-period=0", "--force", "--wait=false");
    const killedMs = Date.now();
    try {
      await expect
        .poll(async () => (await leaderOf(millrace)).identity, { timeout: 20_000, interval: 250 })
        .not.toMatch(new RegExp(`^(${dead.identity})?$`));
      console.log(`another operator leads ${secondsSince(killedMs)} s after the leader was deleted by force`);
      await expect.poll(() => timeline.replicas, { timeout: 20_000 }).toBeGreaterThan(1);
      console.log(`and has scaled ${secondsSince(killedMs)} s after it: ${timeline.line()}`);
    } finally {
      await load.client.finish();
    }
    // The dead one may have scaled up in the moment that its container took to end: the other one then scales down.
    const scaledByAnother = async () =>
      (await eventsOf(millrace, WORKER)).filter(
        ({ reason, eventTime, reportingInstance }) =>
          /^Scaled(Up|Down)$/.test(reason) &&
          Date.parse(eventTime) >= killedMs &&
          reportingInstance !== dead.identity,
      );
    await expect.poll(scaledByAnother, { timeout: 120_000, interval: 1000 }).not.toEqual([]);
    expect(load.client.failures).toEqual([]);
    expect(await verdict()).toEqual(exact);
  });

  test("while RabbitMQ is down the number stays, the status says so, and all goes on afterwards", {
    timeout,
  }, async () => {
    const { millrace, url, ledger, verdict } = working();
    const reachable = async () => conditionOf(millrace, WORKER, "BrokerReachable");
    const poll = { timeout: 120_000, interval: 1000 };
    const broker = async (what: string) =>
      millrace.kubectl("exec", "millrace-rabbitmq-0", "--container=rabbitmq", "--", "rabbitmqctl", what);
    await expect.poll(reachable, poll).toMatchObject({ status: "True" });
    await broker("stop_app");
    const stoppedMs = Date.now();
    try {
      await expect.poll(reachable, poll).toMatchObject({
        status: "False",
        reason: "Unreachable",
        message: expect.stringContaining("http://millrace-rabbitmq:15672/") as string,
      });
      console.log(`RabbitMQ stopped: the status says so after ${secondsSince(stoppedMs)} s`);
      expect(await conditionOf(millrace, WORKER, "Ready")).toMatchObject({
        status: "False",
        reason: "Unreachable",
      });
      // More than it would leave if it knew that there is nothing to do. Kubernetes starts a RabbitMQ anew that has not answered
      // for long: on a slow machine it has to be stopped again.
      const held = { currentReplicas: 2, desiredReplicas: 2, reason: "FiguresUnknown" };
      const statusWithout = async () => {
        await broker("stop_app").catch(() => "");
        await millrace.kubectl("scale", "deployment", WORKER, "--replicas=2");
        return statusOf(millrace, WORKER);
      };
      await expect.poll(statusWithout, poll).toMatchObject(held);
      await sleep(5000);
      expect(await statusOf(millrace, WORKER)).toMatchObject(held);
    } finally {
      await broker("start_app");
    }
    const startedMs = Date.now();
    await expect.poll(reachable, poll).toMatchObject({ status: "True" });
    console.log(`RabbitMQ started: the status says so after ${secondsSince(startedMs)} s`);
    await expect
      .poll(async () => (await statusOf(millrace, WORKER)).currentReplicas, {
        timeout: 120_000,
        interval: 1000,
      })
      .toBe(1);
    using send = ingressSender(url, 4);
    const client = new SteadyClient(send, ledger, 20);
    const before = ledger.acknowledged;
    while (ledger.acknowledged < before + 20) await sleep(50);
    await client.finish();
    expect(await verdict()).toEqual(exact);
  });
}
