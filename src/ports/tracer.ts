import type { Message } from "../domain/envelope.ts";
import type { ProjectionName } from "../domain/projection.ts";
import type { TraceContext } from "../domain/trace-context.ts";
import type { ErrorCode } from "../errors.ts";
import type { Delivery, Outcome } from "./broker.ts";

/** What a span is about. */
export type Work =
  | { readonly kind: "request"; readonly method: string; readonly route: string }
  | { readonly kind: "publish"; readonly message: Message; readonly events: number }
  | { readonly kind: "process"; readonly queue: ProjectionName; readonly delivery: Delivery }
  | {
      readonly kind: "store";
      readonly queue: ProjectionName;
      readonly operation: "claim" | "apply";
    };

/** How it ended. */
export interface Result {
  /** Of an HTTP answer. */
  readonly status?: number;
  /** Of a delivery; without one it was left unsettled. */
  readonly outcome?: Outcome["kind"];
  readonly events?: number;
  readonly error?: ErrorCode | undefined;
}

export interface Span {
  /** For what is done within this span, by this process or another. */
  readonly context: TraceContext;
  /** Whether it will be exported. */
  readonly sampled: boolean;
  /** The first call counts. */
  end(result: Result): void;
}

/** Where a trace goes on: within its parent, and beside the spans that it is linked to. */
export interface Origin {
  readonly parent: TraceContext | undefined;
  readonly links?: readonly TraceContext[];
}

/** Roles get one where traces are exported, and none where they are not: then no span and no attribute is made. */
export interface Tracer {
  /** Never throws and never waits; a span that cannot be kept is lost. */
  start(work: Work, origin: Origin): Span;
}
