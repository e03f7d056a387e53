import type { Tracer } from "../../ports/tracer.ts";
import type { Emit } from "../../signals.ts";
import { readTracing, type Variables } from "./tracing-settings.ts";
import type { Systems } from "./tracing-spans.ts";

export interface TracingFacts {
  readonly role: string;
  readonly version: string;
  readonly systems: Systems;
  /** Longest wait for the last spans to be exported, in milliseconds. */
  readonly flushMs: number;
}
/** Closed after all that makes spans. */
export interface Tracing extends AsyncDisposable {
  readonly tracer: Tracer;
}

/** Undefined where the variables of OpenTelemetry ask for no traces: nothing of it is loaded then. */
export async function openTracing(
  variables: Variables,
  facts: TracingFacts,
  emit: Emit,
): Promise<Tracing | undefined> {
  const { settings, ignored } = readTracing(variables, `millrace-${facts.role}`);
  for (const one of ignored) emit("tracing.ignored", one);
  if (settings === undefined) return undefined;
  const { openProvider } = await import("./tracing-provider.ts");
  return openProvider(settings, facts, emit);
}
