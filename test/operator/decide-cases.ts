import {
  decide,
  initialMemory,
  type Memory,
  type Observation,
  type QueueFigures,
  type ScalingSpec,
} from "../../operator/decide.ts";

export const usualSpec: ScalingSpec = {
  replicas: { min: 0, max: 20 },
  objective: { maxWaitSeconds: 30 },
  behavior: { zeroAfterSeconds: 60 },
  hints: { messagesPerSecond: 10, startupSeconds: 10 },
  paused: false,
  pollingIntervalSeconds: 2,
};

export const usualFigures: QueueFigures = {
  sampledAtMs: 0,
  ready: 0,
  unacknowledged: 0,
  consumers: 1,
  published: 0,
  delivered: 0,
  acknowledged: 0,
  redelivered: 0,
  deadLetters: 0,
};

/** A world in which a second is what happens in it: messages published, done, or become dead letters, by the replicas there. */
export interface World {
  readonly published: number;
  /** Of all replicas together. */
  readonly done: (replicas: number) => number;
  readonly dead?: number;
  readonly consumers?: number | undefined;
  readonly seconds: number;
}

/** A scaler on a fluid queue that is read every `stepSeconds`; replicas are ready `startupSeconds` after they were asked for. */
export class Loop {
  readonly spec: ScalingSpec;
  readonly #stepSeconds: number;
  readonly #startupSeconds: number;
  #hidden: readonly (keyof QueueFigures)[];
  #memory: Memory;
  #seconds = 0;
  #starting: number[] = [];
  /** Messages that are not done; a fluid. */
  #left: number;
  figures: QueueFigures;
  replicas: number;
  decisions: { readonly second: number; readonly decision: ReturnType<typeof decide> }[] = [];

  constructor(
    spec: ScalingSpec,
    start: { readonly replicas: number; readonly ready?: number; readonly memory?: Memory },
    rhythm: {
      readonly stepSeconds?: number;
      readonly startupSeconds?: number;
      readonly hidden?: readonly (keyof QueueFigures)[];
    } = {},
  ) {
    this.spec = spec;
    this.replicas = start.replicas;
    this.figures = { ...usualFigures, ready: start.ready ?? 0 };
    this.#left = start.ready ?? 0;
    this.#memory = start.memory ?? initialMemory(undefined);
    this.#stepSeconds = rhythm.stepSeconds ?? 5;
    this.#startupSeconds = rhythm.startupSeconds ?? 8;
    this.#hidden = rhythm.hidden ?? [];
  }

  get last() {
    const last = this.decisions.at(-1);
    if (last === undefined) throw new Error("nothing has been decided yet");
    return last.decision;
  }
  get memory(): Memory {
    return this.#memory;
  }
  /** Times that the number went up after it had gone down, or the other way round, from a second on. */
  directionChangesFrom(second: number): number {
    const numbers = this.decisions
      .filter((one) => one.second >= second)
      .map((one) => one.decision.desiredReplicas);
    const signs = numbers
      .map((one, index) => Math.sign(one - (numbers[index - 1] ?? one)))
      .filter((sign) => sign !== 0);
    return signs.filter((sign, index) => index > 0 && sign !== signs[index - 1]).length;
  }

  run(world: World): this {
    for (const end = this.#seconds + world.seconds; this.#seconds < end; ) {
      this.#decide();
      this.#live(world);
    }
    return this;
  }

  #ready(): number {
    return this.replicas - this.#starting.filter((readyAt) => readyAt > this.#seconds).length;
  }

  #decide(): void {
    const hidden = Object.fromEntries(this.#hidden.map((field) => [field, undefined]));
    const observation: Observation = {
      nowMs: this.#seconds * 1000,
      queue: { ...this.figures, ...hidden },
      brokerReachable: true,
      replicas: { current: this.replicas, ready: this.#ready() },
    };
    const decision = decide(this.spec, this.#memory, observation);
    this.#memory = decision.memory;
    this.decisions.push({ second: this.#seconds, decision });
    const wanted = decision.desiredReplicas;
    for (let more = wanted - this.replicas; more > 0; more--)
      this.#starting.push(this.#seconds + this.#startupSeconds);
    if (wanted < this.replicas) this.#starting = this.#starting.slice(0, Math.max(0, wanted));
    this.replicas = wanted;
  }

  #live({ published, done, dead = 0, consumers }: World): void {
    const seconds = this.#stepSeconds;
    const ready = this.#ready();
    const { figures } = this;
    const there = this.#left + published * seconds;
    const most = ready === 0 ? 0 : done(ready) * seconds;
    const finished = Math.min(there, most);
    this.#left = there - finished;
    const busy = most > 0 ? Math.min(0.95, finished / most) : 0;
    // What is in the hands of replicas of which none is late, by Kingman's formula; messages in hand do not add up with the totals.
    const inService = ready * (busy + (0.25 * busy ** 2) / (1 - busy));
    const inHand = Math.min(this.#left, ready * 20);
    this.#seconds += seconds;
    this.figures = {
      sampledAtMs: this.#seconds * 1000,
      ready: Math.round(this.#left - inHand),
      unacknowledged: Math.max(Math.round(inHand), inService),
      consumers: consumers ?? ready,
      published: (figures.published ?? 0) + published * seconds,
      delivered: (figures.delivered ?? 0) + finished,
      acknowledged: (figures.acknowledged ?? 0) + finished,
      redelivered: 0,
      deadLetters: (figures.deadLetters ?? 0) + dead * seconds,
    };
  }
}
