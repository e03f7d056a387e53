import type { EmbeddedRows } from "../../domain/backup-rows.ts";

export type Columns = readonly string[];

/** What a backup takes of which file, column by column as its rows hold them. Leases are of processes, and are left out. */
export const tables: {
  readonly [Section in keyof EmbeddedRows]: {
    readonly of: "store" | "broker";
    readonly columns: Columns;
    readonly order: string;
  };
} = {
  message: {
    of: "broker",
    columns: ["seq", "id", "content_type", "body", "traceparent", "tracestate"],
    order: "seq",
  },
  delivery: { of: "broker", columns: ["seq", "queue", "attempt", "due_at"], order: "seq, queue" },
  dead_letter: {
    of: "broker",
    columns: ["queue", "seq", "reason", "attempts", "dead_at"],
    order: "queue, seq",
  },
  account: { of: "store", columns: ["username", "first_seen"], order: "username" },
  distinct_name: { of: "store", columns: ["period", "metric", "count"], order: "period, metric" },
  hourly_log: {
    of: "store",
    columns: ["second", "metric", "username", "minimum", "maximum", "sum_high", "sum_low", "count"],
    order: "second, metric, username",
  },
  hourly_total: {
    of: "store",
    columns: ["second", "metric", "minimum", "maximum", "sum_high", "sum_low", "count"],
    order: "second, metric",
  },
  // In the order in which they are forgotten: see expireMarks.
  applied: { of: "store", columns: ["message_id", "projection", "at"], order: "rowid" },
  claim: { of: "store", columns: ["event_id", "projection", "message_id", "at"], order: "rowid" },
};
