import type { Message } from "../../domain/envelope.ts";
import type { ProjectionName } from "../../domain/projection.ts";
import { MillraceError } from "../../errors.ts";
import type {
  Backlog,
  Broker,
  DeadLetter,
  Delivery,
  Outcome,
  Replay,
  Subscription,
} from "../../ports/broker.ts";
import type { Clock } from "../../ports/clock.ts";
import type { BrokerFileSettings, Pushed } from "./broker-file.ts";
import { Thread } from "./thread.ts";

export interface EmbeddedBrokerSettings extends BrokerFileSettings {
  readonly confirmTimeoutMs: number;
}

/** How often a consumer asks for a queue that another one has, in milliseconds. */
const LOCK_RETRY_MS = 200;
/** How often a settlement is tried again that could not be written, such as on a full disk, in milliseconds. */
const SETTLE_RETRY_MS = 500;
/** Repaired letters of one commit are no more than so many bytes and one letter: nobody can publish while it is written. */
const REPLAY_BYTES = 1024 * 1024;

/** A broker in a file: one SQLite database in `dataDir`, which several processes of this machine may share. */
export function openEmbeddedBroker(settings: EmbeddedBrokerSettings, clock: Clock): Broker {
  const takers = new Map<ProjectionName, (pushed: Pushed) => void>();
  const { dataDir, backlogMaxBytes } = settings;
  const thread = new Thread(
    "BrokerFile",
    { dataDir, backlogMaxBytes },
    {
      code: "BROKER_UNAVAILABLE",
      // Publishes, which clients wait for, go first: a settlement that a crash undoes is only a redelivery.
      patient: ["settle"],
      onPush: (pushed) => takers.get((pushed as Pushed).queue)?.(pushed as Pushed),
    },
  );

  async function publish(message: Message): Promise<void> {
    const confirmed = thread.call("publish", message);
    const deadline = Promise.withResolvers<never>();
    const timer = setTimeout(
      () =>
        deadline.reject(new MillraceError("PUBLISH_UNCONFIRMED", `within ${settings.confirmTimeoutMs} ms`)),
      settings.confirmTimeoutMs,
    );
    try {
      await Promise.race([confirmed, deadline.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  async function settle(queue: ProjectionName, seq: number, outcome: Outcome): Promise<void> {
    for (;;) {
      try {
        return await thread.call("settle", queue, seq, outcome);
      } catch (error) {
        const closed = await Promise.race([thread.ended.catch(() => true), clock.sleep(SETTLE_RETRY_MS)]);
        if (closed === true) throw error;
      }
    }
  }

  async function consume(
    { queue, prefetch, stop }: Subscription,
    take: (delivery: Delivery) => Promise<void>,
  ): Promise<void> {
    const running = new Set<Promise<void>>();
    const failed = Promise.withResolvers<never>();
    failed.promise.catch(() => {});
    const taker = ({ deliveries }: Pushed) => {
      for (const { seq, attempt, message } of deliveries) {
        const delivery: Delivery = { message, attempt, settle: (outcome) => settle(queue, seq, outcome) };
        const taken: Promise<void> = take(delivery).then(() => void running.delete(taken), failed.reject);
        running.add(taken);
      }
    };
    if (!(await subscribed(queue, prefetch, stop, () => takers.set(queue, taker)))) return;
    const stopped = Promise.withResolvers<void>();
    stop.addEventListener("abort", () => stopped.resolve(), { once: true });
    if (stop.aborted) stopped.resolve();
    try {
      await Promise.race([stopped.promise, thread.ended, failed.promise]);
      await thread.call("pause", queue);
      while (running.size > 0) await Promise.race([Promise.all(running), failed.promise]);
    } finally {
      takers.delete(queue);
      await thread.call("unsubscribe", queue).catch(() => {});
    }
  }

  /** Waits until no other consumer has the queue. False if told to stop before. */
  async function subscribed(
    queue: ProjectionName,
    prefetch: number,
    stop: AbortSignal,
    before: () => void,
  ): Promise<boolean> {
    while (!stop.aborted) {
      if (!takers.has(queue)) {
        before();
        if (await thread.call("subscribe", queue, prefetch)) return true;
        takers.delete(queue);
      }
      await clock.sleep(LOCK_RETRY_MS, stop);
    }
    return false;
  }

  /** Page by page: what arrives or goes away meanwhile may be seen or not. */
  async function* list(queue: ProjectionName): AsyncGenerator<DeadLetter> {
    let after: string | undefined;
    do {
      const page = await thread.call("listDead", queue, after);
      yield* page;
      after = page.at(-1)?.id;
    } while (after !== undefined);
  }

  async function replay(queue: ProjectionName, letters: readonly Replay[]): Promise<number> {
    let replayed = 0;
    let part: Replay[] = [];
    let bytes = 0;
    for (const [i, letter] of letters.entries()) {
      part.push(letter);
      bytes += letter.repaired?.body.byteLength ?? 0;
      if (bytes < REPLAY_BYTES && i < letters.length - 1) continue;
      replayed += await thread.call("replayDead", queue, part);
      part = [];
      bytes = 0;
    }
    return replayed;
  }

  return {
    publish,
    consume,
    backlog: (queue): Promise<Backlog> => thread.call("backlog", queue),
    ready: () => thread.call("ready"),
    ended: thread.ended,
    deadLetters: {
      list,
      replay,
      drop: (queue, letters) => thread.call("dropDead", queue, letters),
    },
    [Symbol.asyncDispose]: () => thread[Symbol.asyncDispose](),
  };
}
