/** Of a queue, what one answer says of it; undefined is what it does not say. */
export interface Row {
  readonly vhost: string;
  readonly name: string;
  readonly ready: number | undefined;
  readonly unacknowledged: number | undefined;
  readonly consumers: number | undefined;
  readonly totals: Totals | undefined;
}

/** Since the broker's start. */
export interface Totals {
  readonly published: number;
  readonly delivered: number;
  readonly acknowledged: number;
  readonly redelivered: number;
}

/** What a broker says of itself. */
export interface Census {
  /** Whether it keeps statistics; without, a queue tells only its length, and that only if asked for it. */
  readonly statistics: boolean;
  /** Whether it counts messages, so that a queue without totals is one that has had none. */
  readonly counts: boolean;
  /** Queues that the user may see. */
  readonly queues: number;
}

/** The part of a queue that is asked for. */
export const COLUMNS = [
  "vhost",
  "name",
  "messages_ready",
  "messages_unacknowledged",
  "consumers",
  "message_stats.publish",
  "message_stats.deliver_get",
  "message_stats.ack",
  "message_stats.redeliver",
].join(",");

/** Undefined for what is no answer to `GET /api/queues/{vhost}/{name}`. */
export function rowOf(body: unknown): Row | undefined {
  if (!isObject(body)) return undefined;
  const { vhost, name } = body;
  if (typeof vhost !== "string" || typeof name !== "string") return undefined;
  return {
    vhost,
    name,
    ready: countOf(body["messages_ready"]),
    unacknowledged: countOf(body["messages_unacknowledged"]),
    consumers: countOf(body["consumers"]),
    totals: totalsOf(body["message_stats"]),
  };
}

/** Undefined for what is no answer to `GET /api/queues`. */
export function rowsOf(body: unknown): readonly Row[] | undefined {
  if (!Array.isArray(body)) return undefined;
  const rows = body.map(rowOf);
  return rows.every((row) => row !== undefined) ? rows : undefined;
}

/** Undefined for what is no answer to `GET /api/overview`. */
export function censusOf(body: unknown): Census | undefined {
  if (!isObject(body) || typeof body["rates_mode"] !== "string") return undefined;
  const statistics = body["disable_stats"] !== true;
  const objects = body["object_totals"];
  return {
    statistics,
    // With `none`, channels do not tell of single messages: https://www.rabbitmq.com/docs/management#statistics
    counts: statistics && body["rates_mode"] !== "none",
    queues: (isObject(objects) ? countOf(objects["queues"]) : undefined) ?? 0,
  };
}

/** A kind of total that has not been needed yet is missing beside the others. */
function totalsOf(stats: unknown): Totals | undefined {
  if (!isObject(stats)) return undefined;
  return {
    published: countOf(stats["publish"]) ?? 0,
    delivered: countOf(stats["deliver_get"]) ?? 0,
    acknowledged: countOf(stats["ack"]) ?? 0,
    redelivered: countOf(stats["redeliver"]) ?? 0,
  };
}

function countOf(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? Math.floor(value) : undefined;
}

/** Erlang has one empty list for both, so an array stands where an object has nothing in it. */
function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
