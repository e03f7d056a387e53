import type { QueueFigures } from "../decide.ts";
import type { Totals } from "./answers.ts";

/** What the broker says of a queue in one answer. */
export interface RawFigures {
  readonly ready: number;
  readonly unacknowledged: number;
  readonly consumers: number | undefined;
  readonly totals: Totals | undefined;
  /** The broker counts messages, so that a queue without totals is one that has had none. */
  readonly counts: boolean;
}

type Figures = Omit<QueueFigures, "deadLetters">;

export interface Sample {
  /** The lengths and consumers of the last reading, and the totals of the last renewal that was whole. */
  readonly figures: Figures;
  /** All as it was when that renewal was whole, at `atMs`. */
  readonly whole: Figures;
  readonly atMs: number;
  /** The tables that had changed then. */
  readonly moving: readonly Table[];
  /** Whether the queue has had totals: without them, it is not told, and they are not zero. */
  readonly told: boolean;
}

/**
 * RabbitMQ renews what the management API tells this often, each table at a phase of its own; measured on 4.0.5 and 4.3.6,
 * whatever collect_statistics_interval says.
 */
const RENEWAL_MS = 5000;
/** For what is on its way. */
const GRACE_MS = 1000;

const tables = {
  published: ["published"],
  length: ["ready", "unacknowledged"],
  done: ["delivered", "acknowledged", "redelivered"],
} as const satisfies Readonly<Record<string, readonly (keyof Figures)[]>>;
type Table = keyof typeof tables;
const tableNames = Object.keys(tables) as Table[];

const NONE_YET: Totals = { published: 0, delivered: 0, acknowledged: 0, redelivered: 0 };
const NOT_TOLD = {
  published: undefined,
  delivered: undefined,
  acknowledged: undefined,
  redelivered: undefined,
} as const;

/**
 * Takes totals that belong together. What one table counted since another was renewed would be all or nothing; so a sample is
 * new once every table that moved last time has been renewed, or must have been. Its time is whole renewals after the one
 * before, as its counts are, and may be some seconds ahead of the clock. Pure; `nowMs` is when the broker answered, in
 * milliseconds since 1970.
 */
export function resample(before: Sample | undefined, raw: RawFigures, nowMs: number): Sample {
  const told = raw.totals !== undefined || before?.told === true;
  const totals = raw.totals ?? (raw.counts && !told ? NONE_YET : NOT_TOLD);
  const { ready, unacknowledged, consumers } = raw;
  const latest = { ready, unacknowledged, consumers, ...totals };
  const newSample = (sampledAtMs: number, moving: readonly Table[]): Sample => {
    const whole = { sampledAtMs, ...latest };
    return { figures: whole, whole, atMs: nowMs, moving, told };
  };
  if (before === undefined || nowMs < before.atMs) return newSample(nowMs, []);

  const { whole, moving } = before;
  const changed = tableNames.filter((table) => tables[table].some((one) => whole[one] !== latest[one]));
  const sinceMs = nowMs - whole.sampledAtMs;
  const isPart = changed.length === 0 || moving.some((table) => !changed.includes(table));
  const mayWait = nowMs - before.atMs <= RENEWAL_MS + GRACE_MS;
  if (mayWait && (isPart || sinceMs < -RENEWAL_MS / 2)) {
    return { ...before, figures: { ...whole, ready, unacknowledged, consumers }, told };
  }
  if (changed.length === 0) return newSample(Math.max(nowMs, whole.sampledAtMs), changed);
  const renewals = Math.max(1, Math.round(sinceMs / RENEWAL_MS));
  return newSample(whole.sampledAtMs + renewals * RENEWAL_MS, changed);
}
