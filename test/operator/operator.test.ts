import { expect, test } from "vitest";
import type { BrokerFigures, Reading } from "../../operator/broker-figures.ts";
import { runOperator } from "../../operator/operator.ts";
import { HandClock } from "./hand-clock.ts";
import { MemoryCluster } from "./memory-cluster.ts";
import { MemoryLeases } from "./memory-leases.ts";
import { figuresOf, scalerOf, targetOf } from "./scalers.ts";

/** An operator whose one scaler wants five replicas, once RabbitMQ has answered. */
function operatorWith(answered: Promise<void>) {
  const clock = new HandClock();
  const leases = new MemoryLeases(clock);
  const cluster = new MemoryCluster();
  cluster.put(scalerOf("mine", { messagesPerReplica: 10 }));
  cluster.targets.set("shop/worker", targetOf(1));
  cluster.secrets.set("shop/broker", { username: "u", password: "p" });
  const figures: BrokerFigures = {
    async read(): Promise<Reading> {
      await answered;
      const at = clock.now();
      return { ok: true, at, figures: figuresOf(at, { ready: 45, published: 45 }) };
    },
  };
  const stop = new AbortController();
  const parts = { cluster, figures, clock, emit: () => {}, leases: leases.by(), identity: "this" };
  const ended = runOperator(parts, stop.signal).then(
    () => "stopped",
    (error: Error) => error.message,
  );
  return { clock, leases, cluster, stop, ended };
}

test("an operator that leads scales and reports, and gives the lease up when it is stopped", async () => {
  const { clock, leases, cluster, stop, ended } = operatorWith(Promise.resolve());
  await clock.pass(20_000);
  expect(cluster.targets.get("shop/worker")?.replicas).toBe(5);
  expect(cluster.reports).toBeGreaterThan(0);
  stop.abort();
  await clock.pass(2000);
  expect(await ended).toBe("stopped");
  expect(leases.lease?.holder).toBe("");
});

test("one that has lost the lease writes nothing any more, not even what was in hand", async () => {
  const answer = Promise.withResolvers<void>();
  const { clock, leases, cluster, ended } = operatorWith(answer.promise);
  await clock.pass(3000);
  const { lease } = leases;
  if (lease === undefined) throw new Error("it does not lead");
  await leases.by().write({ ...lease, holder: "another", renewedAtMs: clock.now() });
  await clock.pass(5000);
  expect(await ended).toMatch(/another has taken the lease/);
  answer.resolve();
  await clock.pass(5000);
  expect(cluster.targets.get("shop/worker")?.replicas).toBe(1);
  expect([cluster.reports, cluster.notices]).toEqual([0, []]);
});
