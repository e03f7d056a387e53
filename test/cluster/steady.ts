import { setTimeout as sleep } from "node:timers/promises";
import { encodeJob } from "../fault/job.ts";
import type { Ledger } from "../fault/ledger.ts";
import type { Send } from "../fault/post.ts";

const PATIENCE_MS = 15_000;
/** With so many unanswered it waits before the next: what a slow machine cannot take in time would only pile up in this client. */
const MOST_UNANSWERED = 48;

/** Posts one event after the other at an even rate, or as fast as they are answered, each once: a client that has not learnt to try again. */
export class SteadyClient {
  readonly #ledger: Ledger;
  #posted = 0;
  /** Requests that were not answered with 200. */
  readonly failures: string[] = [];
  readonly #send: Send;
  readonly #stop = new AbortController();
  readonly #work: Promise<void>;

  constructor(send: Send, ledger: Ledger, perSecond: number) {
    this.#ledger = ledger;
    this.#send = send;
    this.#work = this.#run(1000 / perSecond);
  }

  get posted(): number {
    return this.#posted;
  }

  async finish(): Promise<void> {
    this.#stop.abort();
    await this.#work;
  }

  async #run(pauseMs: number): Promise<void> {
    const inFlight = new Set<Promise<void>>();
    const begun = Date.now();
    for (let turn = 1; !this.#stop.signal.aborted; turn += 1) {
      const post = this.#post().finally(() => inFlight.delete(post));
      inFlight.add(post);
      while (inFlight.size >= MOST_UNANSWERED) await Promise.race(inFlight);
      const wait = begun + turn * pauseMs - Date.now();
      await sleep(Math.max(0, wait), undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
    await Promise.all(inFlight);
  }

  async #post(): Promise<void> {
    this.#posted += 1;
    const event = this.#ledger.create("sure");
    const job = { form: "single", events: [event], gzip: false, insists: true } as const;
    const answer = await this.#send({
      ...encodeJob(job),
      path: "/event",
      hangUpAfterMs: PATIENCE_MS,
      turn: 0,
    });
    if (answer?.status === 200) {
      this.#ledger.acknowledge(event);
    } else {
      event.state = "unknown";
      const what = answer === undefined ? "no answer" : `${answer.status} ${answer.text.slice(0, 200)}`;
      this.failures.push(`${new Date().toISOString()} ${what}`);
    }
  }
}
