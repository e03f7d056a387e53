import type { ProjectionName } from "./domain/projection.ts";
import type { Outcome } from "./ports/broker.ts";
import type { ErrorCode } from "./errors.ts";

/** Every notable happening once, typed. The telemetry adapters turn these into metrics and log lines. Durations in seconds. */
export interface Signals {
  "role.started": { readonly role: string; readonly address?: string };
  "role.stopped": { readonly role: string };
  "request.answered": {
    readonly server: "collector" | "query";
    readonly route: string;
    readonly status: number;
    readonly seconds: number;
  };
  "request.failed": { readonly route: string; readonly error: unknown };
  "events.rejected": { readonly events: number };
  "message.published": { readonly events: number; readonly bytes: number; readonly seconds: number };
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
  "store.waiting": { readonly queue: ProjectionName; readonly error: unknown };
  "sweep.finished": {
    readonly expired: number;
    readonly forgotten: number;
    readonly merged: number;
    readonly seconds: number;
  };
  "sweep.failed": { readonly error: unknown };
}

export type SignalName = keyof Signals;
export type Emit = <K extends SignalName>(name: K, fact: Signals[K]) => void;
