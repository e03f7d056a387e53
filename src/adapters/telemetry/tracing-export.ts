import type { Context } from "@opentelemetry/api";
import {
  BatchSpanProcessor,
  type ReadableSpan,
  type Span,
  type SpanExporter,
  type SpanProcessor,
} from "@opentelemetry/sdk-trace";
import type { Emit, SpanFigures } from "../../signals.ts";
import type { BatchSettings } from "./tracing-settings.ts";

/** Losses are told of at most so often, in milliseconds. */
const TELL_MS = 60_000;
/** The result of an export that succeeded, by OpenTelemetry's number. */
const SUCCESS = 0;

/** Exports spans in batches from a queue that is bounded, and counts what becomes of each. */
export class CountedExport implements SpanProcessor {
  readonly figures: { -readonly [K in keyof SpanFigures]: number } = { exported: 0, dropped: 0, failed: 0 };
  readonly #batches: BatchSpanProcessor;
  readonly #maxQueueSize: number;
  readonly #emit: Emit;
  #queued = 0;
  #untold = 0;
  /** Why the last one was lost. */
  #reason = "";
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(exporter: SpanExporter, settings: BatchSettings, emit: Emit) {
    this.#maxQueueSize = settings.maxQueueSize;
    this.#emit = emit;
    const counted: SpanExporter = {
      export: (spans, done) => {
        this.#queued -= spans.length;
        exporter.export(spans, (result) => {
          const code: number = result.code;
          if (code === SUCCESS) this.figures.exported += spans.length;
          else this.#lost("failed", spans.length, reasonOf(result.error));
          done(result);
        });
      },
      shutdown: () => exporter.shutdown(),
    };
    this.#batches = new BatchSpanProcessor({
      exporter: counted,
      maxQueueSize: settings.maxQueueSize,
      maxExportBatchSize: settings.maxExportBatchSize,
      scheduledDelayMillis: settings.scheduledDelayMs,
      exportTimeoutMillis: settings.exportTimeoutMs,
    });
  }

  onStart(span: Span, parent: Context): void {
    this.#batches.onStart(span, parent);
  }

  onEnd(span: ReadableSpan): void {
    if (this.#queued >= this.#maxQueueSize) return this.#lost("dropped", 1, "the queue of spans is full");
    this.#queued += 1;
    this.#batches.onEnd(span);
  }

  forceFlush(): Promise<void> {
    return this.#batches.forceFlush();
  }

  async shutdown(): Promise<void> {
    await this.#batches.shutdown();
  }

  /** What is still queued is lost now. */
  end(): void {
    if (this.#queued > 0) this.#lost("dropped", this.#queued, "the process ends");
    this.#queued = 0;
    if (this.#untold > 0) this.#tell();
  }

  #lost(how: "dropped" | "failed", spans: number, reason: string): void {
    this.figures[how] += spans;
    this.#untold += spans;
    this.#reason = reason;
    if (performance.now() - this.#toldAt >= TELL_MS) this.#tell();
  }

  #tell(): void {
    this.#emit("spans.lost", { spans: this.#untold, reason: this.#reason });
    this.#untold = 0;
    this.#toldAt = performance.now();
  }
}

/** A few words, without what the other side answered. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "it is not known why";
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  return `${code} ${error.message}`.trim().slice(0, 200) || error.name;
}
