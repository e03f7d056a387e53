import {
  type Attributes,
  createTraceState,
  type Span as OtelSpan,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Tracer as OtelTracer,
} from "@opentelemetry/api";
import type { Message } from "../../domain/envelope.ts";
import type { TraceContext } from "../../domain/trace-context.ts";
import type { Origin, Result, Span, Tracer, Work } from "../../ports/tracer.ts";

/** The systems behind the ports, by the names that the conventions have for them. */
export interface Systems {
  readonly messaging: string;
  readonly database: string;
}

/** What the collector publishes to, whatever the broker. */
const EXCHANGE = "metric-collector";

interface Shape {
  readonly name: string;
  readonly kind: SpanKind;
  readonly attributes: Attributes;
}

/** The port on OpenTelemetry's API. No attribute holds a username, the name of a metric or a value. */
export function tracerOn(otel: OtelTracer, systems: Systems): Tracer {
  return {
    start(work: Work, { parent, links = [] }: Origin): Span {
      const { name, kind, attributes } = shapeOf(work, systems);
      // Its parent came with a request or a message, and else is a span of this process.
      const isRemote = work.kind === "request" || work.kind === "process";
      const within =
        parent === undefined
          ? ROOT_CONTEXT
          : trace.setSpanContext(ROOT_CONTEXT, spanContextOf(parent, isRemote));
      const linked = links.map((link) => ({ context: spanContextOf(link, false) }));
      return new TracedSpan(otel.startSpan(name, { kind, attributes, links: linked }, within));
    },
  };
}

class TracedSpan implements Span {
  readonly context: TraceContext;
  readonly sampled: boolean;
  readonly #span: OtelSpan;

  constructor(span: OtelSpan) {
    this.#span = span;
    const { traceId, spanId, traceFlags, traceState } = span.spanContext();
    this.sampled = (traceFlags & TraceFlags.SAMPLED) !== 0;
    this.context = {
      traceparent: `00-${traceId}-${spanId}-${this.sampled ? "01" : "00"}`,
      tracestate: traceState?.serialize() || undefined,
    };
  }

  end({ status, outcome, events, error }: Result): void {
    const span = this.#span;
    if (status !== undefined) span.setAttribute("http.response.status_code", status);
    if (outcome !== undefined) span.setAttribute("millrace.delivery.outcome", outcome);
    if (events !== undefined) span.setAttribute("millrace.message.events", events);
    const failure = error ?? (status !== undefined && status >= 500 ? String(status) : undefined);
    if (failure !== undefined) {
      span.setAttribute("error.type", failure);
      span.setStatus({ code: SpanStatusCode.ERROR });
    }
    span.end();
  }
}

function spanContextOf({ traceparent, tracestate }: TraceContext, isRemote: boolean): SpanContext {
  const [, traceId = "", spanId = "", flags = "00"] = traceparent.split("-");
  return {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED,
    isRemote,
    ...(tracestate === undefined ? {} : { traceState: createTraceState(tracestate) }),
  };
}

/** By the semantic conventions: https://opentelemetry.io/docs/specs/semconv/ */
function shapeOf(work: Work, systems: Systems): Shape {
  if (work.kind === "request") return requestShape(work);
  if (work.kind === "publish") return publishShape(work, systems);
  if (work.kind === "process") return processShape(work, systems);
  return {
    name: `store ${work.operation}`,
    kind: SpanKind.CLIENT,
    attributes: {
      "db.system.name": systems.database,
      "db.operation.name": work.operation,
      "millrace.projection": work.queue,
    },
  };
}

type Of<Kind extends Work["kind"]> = Extract<Work, { readonly kind: Kind }>;

function requestShape({ method, route }: Of<"request">): Shape {
  return {
    name: `${method} ${route}`,
    kind: SpanKind.SERVER,
    attributes: {
      "http.request.method": method,
      "http.route": route,
      "url.path": route,
      "url.scheme": "http",
    },
  };
}

function publishShape({ message, events }: Of<"publish">, { messaging }: Systems): Shape {
  return {
    name: `publish ${EXCHANGE}`,
    kind: SpanKind.PRODUCER,
    attributes: {
      ...messageAttributes(message, messaging),
      "messaging.operation.name": "publish",
      "messaging.operation.type": "send",
      "messaging.destination.name": EXCHANGE,
      "millrace.message.events": events,
    },
  };
}

function processShape({ queue, delivery }: Of<"process">, { messaging }: Systems): Shape {
  return {
    name: `process ${queue}`,
    kind: SpanKind.CONSUMER,
    attributes: {
      ...messageAttributes(delivery.message, messaging),
      "messaging.operation.name": "process",
      "messaging.operation.type": "process",
      "messaging.destination.name": queue,
      "millrace.delivery.attempt": delivery.attempt,
    },
  };
}

function messageAttributes({ id, body }: Message, system: string): Attributes {
  return {
    "messaging.system": system,
    "messaging.message.id": id,
    "messaging.message.body.size": body.byteLength,
  };
}
