import type { Audit } from "./domain/audit.ts";
import type { ProjectionName } from "./domain/projection.ts";
import type { Outcome } from "./ports/broker.ts";
import type { ErrorCode } from "./errors.ts";

/** What a collector has in hand now. */
export interface CollectorLoad {
  readonly requests: number;
  /** Bytes that these hold, and how many they may. */
  readonly bytes: number;
  readonly bytesLimit: number;
  /** Messages published and not yet confirmed. */
  readonly messages: number;
}
/** What a worker has in hand now. */
export interface WorkerLoad {
  readonly deliveries: number;
  /** When the oldest of them was accepted, in milliseconds since 1970; undefined where there is none, or none that tells. */
  readonly oldestAcceptedAtMs: number | undefined;
}

export interface FileState {
  /** As they are now they cannot be read, and what was read before stays in use. */
  readonly failing: boolean;
  /** Of the certificate in use, in milliseconds since 1970; undefined where there is none. */
  readonly expiresAtMs: number | undefined;
}

/** What became of the spans of traces so far: dropped before an export, or failed in one. */
export interface SpanFigures {
  readonly exported: number;
  readonly dropped: number;
  readonly failed: number;
}

/**
 * Every notable happening once, typed. The telemetry adapters turn these into metrics and log lines. Durations in seconds. A
 * `load` tells what is so when it is called.
 */
export interface Signals {
  "role.started": { readonly role: string; readonly address?: string };
  "role.stopped": { readonly role: string };
  "request.answered": {
    readonly server: "collector" | "query";
    readonly route: string;
    readonly status: number;
    readonly seconds: number;
  };
  "collector.opened": { readonly load: () => CollectorLoad };
  "console.opened": { readonly load: () => { readonly pages: number } };
  "worker.opened": { readonly queue: ProjectionName; readonly load: () => WorkerLoad };
  /** Files are read that others renew: of keys, or the certificates of one purpose. */
  "file.watched": { readonly file: string; readonly state: () => FileState };
  "certificates.renewed": { readonly purpose: string };
  /** The last good ones stay in use. */
  "certificates.refused": { readonly purpose: string; readonly error: unknown };
  "request.failed": { readonly route: string; readonly error: unknown };
  "events.rejected": { readonly events: number };
  "message.published": {
    readonly events: number;
    readonly bytes: number;
    /** Until the publisher confirm. */
    readonly seconds: number;
    /** How long the first of its requests had waited before. */
    readonly waitSeconds: number;
  };
  "publish.failed": { readonly events: number; readonly code: ErrorCode; readonly error: unknown };
  "delivery.settled": {
    readonly queue: ProjectionName;
    readonly outcome: Outcome["kind"];
    /** Events in it; 0 where it could not be read. */
    readonly events: number;
    readonly attempt: number;
    readonly seconds: number;
    /** From the message's acceptance until it was in the store; undefined where it was not applied. */
    readonly ageSeconds: number | undefined;
    readonly error: unknown;
  };
  "duplicates.skipped": { readonly queue: ProjectionName; readonly events: number };
  /** `connection` is what it is for: publish, or consume and the queue. */
  "broker.connected": { readonly connection: string };
  /** A connection was lost, or could not be opened; it is tried again. */
  "broker.disconnected": { readonly connection: string; readonly error: unknown };
  /** The broker takes no messages, and later takes them again. */
  "broker.blocked": { readonly reason: string };
  "broker.unblocked": object;
  /** A retry or a dead letter could not be published: its delivery stays unsettled, and it is tried again. */
  "settlement.waiting": { readonly queue: ProjectionName; readonly error: unknown };
  /** A call of a worker to the store has ended; `code` is its error's. */
  "store.called": {
    readonly queue: ProjectionName;
    readonly operation: "claim" | "apply";
    readonly seconds: number;
    readonly code: ErrorCode | undefined;
  };
  "store.waiting": { readonly queue: ProjectionName; readonly error: unknown };
  /** Counts, each of a month and a metric, that are gone for good: of the months before this one. */
  "months.discarded": { readonly counts: number; readonly before: string };
  /** The sweeper's clock and that of the store are too far apart to discard what is before this month; below 0 it is behind. */
  "months.spared": { readonly before: string; readonly aheadSeconds: number };
  "sweep.finished": {
    readonly expired: number;
    readonly forgotten: number;
    readonly merged: number;
    readonly discarded: number;
    readonly seconds: number;
    /** Age of the oldest change to the distinct names that no total holds yet; 0 where there is none. */
    readonly compactionLagSeconds: number;
  };
  "sweep.failed": { readonly error: unknown };
  /** Traces are exported: where to, without what is secret of the address. */
  "tracing.opened": { readonly endpoint: string; readonly figures: () => SpanFigures };
  /** A variable of OpenTelemetry that cannot be honoured. */
  "tracing.ignored": { readonly variable: string; readonly reason: string };
  /** Told once a minute at most, with all that were lost since it was last told. */
  "spans.lost": { readonly spans: number; readonly reason: string };

  /** The file of keys holds others than before, which are in force now: how many, and the names of those that came and went. */
  "keys.changed": {
    readonly keys: number;
    readonly added: readonly string[];
    readonly removed: readonly string[];
  };
  /** The file of keys cannot be read any more: so many keys of before stay in force. */
  "keys.unreadable": { readonly keys: number; readonly error: unknown };
  "audit.recorded": Audit;

  /** Of the operator: whether this process is the one that works. */
  "leader.changed": { readonly leading: boolean; readonly identity: string };
  /** One pass for a QueueScaler: what was seen and what was decided. */
  "scaler.decided": {
    readonly namespace: string;
    readonly scaler: string;
    /** In one word, and in a sentence with the figures; undefined where nothing was decided. */
    readonly reason: string | undefined;
    readonly message: string | undefined;
    /** Undefined where it was not asked. */
    readonly brokerReachable: boolean | undefined;
    /** Undefined before the first figures. */
    readonly observationAgeSeconds: number | undefined;
    readonly backlog: number | undefined;
    readonly estimates: {
      readonly arrivalsPerSecond: number | undefined;
      readonly messagesPerSecondPerReplica: number | undefined;
      readonly waitSeconds: number | undefined;
    };
    readonly replicas: {
      readonly desired: number | undefined;
      /** Undefined where the workload is not seen, as all of these. */
      readonly current: number | undefined;
      readonly ready: number | undefined;
    };
    readonly limited: boolean;
    readonly bottleneck: boolean;
    /** Undefined where the spec cannot be followed, as the bounds. */
    readonly objectiveSeconds: number | undefined;
    readonly bounds: { readonly min: number | undefined; readonly max: number | undefined };
    /** Whether a condition is true, by its type; one that is unknown is left out. */
    readonly conditions: Readonly<Record<string, boolean>>;
  };
  "scaler.forgotten": { readonly namespace: string; readonly scaler: string };
  "replicas.changed": {
    readonly namespace: string;
    readonly scaler: string;
    readonly target: string;
    readonly from: number;
    readonly to: number;
    readonly reason: string;
    readonly message: string;
  };
  /** A status or an Event could not be written; the next pass writes the status, an Event is lost. */
  "report.lost": { readonly namespace: string; readonly scaler: string; readonly error: unknown };
  "reconcile.finished": {
    readonly outcome: "done" | "failed";
    /** From when it was due until it was done. */
    readonly seconds: number;
    readonly error: unknown;
  };
  /** A request to Kubernetes or to RabbitMQ's management API was answered, or was not: then `outcome` is `none`. */
  "request.made": {
    readonly to: "kubernetes" | "rabbitmq";
    readonly verb: string;
    readonly resource: string;
    readonly outcome: string;
    readonly seconds: number;
  };
  /** A watch of Kubernetes has ended and is started again. */
  "watch.restarted": { readonly resource: string; readonly error: unknown };
}

export type SignalName = keyof Signals;
export type Emit = <K extends SignalName>(name: K, fact: Signals[K]) => void;
