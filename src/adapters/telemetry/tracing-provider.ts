import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { defaultResource, resourceFromAttributes } from "@opentelemetry/resources";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Emit } from "../../signals.ts";
import type { Tracing, TracingFacts } from "./tracing.ts";
import { CountedExport } from "./tracing-export.ts";
import type { TracingSettings } from "./tracing-settings.ts";
import { tracerOn } from "./tracing-spans.ts";

/** OpenTelemetry's kit, of this process alone: nothing is registered where other code could find it. */
export function openProvider(settings: TracingSettings, facts: TracingFacts, emit: Emit): Tracing {
  const exporter = new OTLPTraceExporter({
    url: settings.endpoint,
    headers: { ...settings.headers },
    timeoutMillis: settings.timeoutMs,
    userAgent: `millrace/${facts.version}`,
  });
  const counted = new CountedExport(exporter, settings.batch, emit);
  const own = {
    "service.version": facts.version,
    "service.instance.id": randomUUID(),
    ...settings.resource,
  };
  const provider = new TracerProvider({
    sampler: samplerOf(settings.sampler),
    resource: defaultResource().merge(resourceFromAttributes(own)),
    spanProcessors: [counted],
  });
  const { origin, pathname } = new URL(settings.endpoint);
  emit("tracing.opened", { endpoint: `${origin}${pathname}`, figures: () => counted.figures });
  return {
    tracer: tracerOn(provider.getTracer("millrace", facts.version), facts.systems),
    async [Symbol.asyncDispose]() {
      const flushed = provider.shutdown().catch(() => {});
      await Promise.race([flushed, sleep(facts.flushMs, undefined, { ref: false })]);
      counted.end();
    },
  };
}

function samplerOf({ name, ratio }: TracingSettings["sampler"]): Sampler {
  const parentBased = name.startsWith("parentbased_");
  const root = rootSamplerOf(name.replace("parentbased_", ""), ratio);
  return parentBased ? new ParentBasedSampler({ root }) : root;
}

function rootSamplerOf(name: string, ratio: number): Sampler {
  if (name === "always_off") return new AlwaysOffSampler();
  return name === "traceidratio" ? new TraceIdRatioBasedSampler(ratio) : new AlwaysOnSampler();
}
