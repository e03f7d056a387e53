/** Variables of the environment; of these, those of OpenTelemetry count here. */
export type Variables = Readonly<Record<string, string | undefined>>;

export interface TracingSettings {
  /** Where spans are posted to. */
  readonly endpoint: string;
  /** Secret. */
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly sampler: { readonly name: SamplerName; readonly ratio: number };
  readonly resource: Readonly<Record<string, string>>;
  readonly batch: BatchSettings;
}
export interface BatchSettings {
  readonly maxQueueSize: number;
  readonly maxExportBatchSize: number;
  readonly scheduledDelayMs: number;
  readonly exportTimeoutMs: number;
}
/** A variable that could not be honoured, and why; never its value, which may be a secret. */
export interface Ignored {
  readonly variable: string;
  readonly reason: string;
}

const samplerNames = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio",
] as const;
export type SamplerName = (typeof samplerNames)[number];

const ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const DEFAULT_ENDPOINT = "http://localhost:4318";

/**
 * What the standard variables of OpenTelemetry come to. No settings: traces are not to be exported. A variable that cannot be
 * honoured is told of and its default taken, as the standard says, but for an endpoint: without one nothing is exported.
 */
export function readTracing(
  all: Variables,
  serviceName: string,
): { readonly settings: TracingSettings | undefined; readonly ignored: readonly Ignored[] } {
  const ignored: Ignored[] = [];
  const ignore = (variable: string, reason: string) => void ignored.push({ variable, reason });
  // One that is empty counts as not set.
  const read = (variable: string): string | undefined => all[variable]?.trim() || undefined;
  if (!isWanted(read, ignore)) return { settings: undefined, ignored };
  const endpoint = endpointIn(read, ignore);
  if (endpoint === undefined) return { settings: undefined, ignored };
  checkProtocol(read, ignore);
  const number = numberIn(read, ignore);
  const pairs = (variable: string) =>
    pairsOf(read(variable), () => ignore(variable, "is no list of key=value"));
  const name = read("OTEL_SERVICE_NAME");
  const maxQueueSize = number("OTEL_BSP_MAX_QUEUE_SIZE", 2048, 1);
  const settings: TracingSettings = {
    endpoint,
    headers: { ...pairs("OTEL_EXPORTER_OTLP_HEADERS"), ...pairs("OTEL_EXPORTER_OTLP_TRACES_HEADERS") },
    timeoutMs: number(
      "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
      number("OTEL_EXPORTER_OTLP_TIMEOUT", 10_000, 1),
      1,
    ),
    sampler: samplerIn(read, ignore),
    resource: {
      "service.name": serviceName,
      ...pairs("OTEL_RESOURCE_ATTRIBUTES"),
      ...(name === undefined ? {} : { "service.name": name }),
    },
    batch: {
      maxQueueSize,
      maxExportBatchSize: Math.min(maxQueueSize, number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512, 1)),
      scheduledDelayMs: number("OTEL_BSP_SCHEDULE_DELAY", 5000, 0),
      exportTimeoutMs: number("OTEL_BSP_EXPORT_TIMEOUT", 30_000, 1),
    },
  };
  return { settings, ignored };
}

type Read = (variable: string) => string | undefined;
type Ignore = (variable: string, reason: string) => void;

function isWanted(read: Read, ignore: Ignore): boolean {
  if (read("OTEL_SDK_DISABLED")?.toLowerCase() === "true") return false;
  const exporters = read("OTEL_TRACES_EXPORTER")
    ?.toLowerCase()
    .split(",")
    .map((name) => name.trim());
  if (exporters === undefined) return (read(TRACES_ENDPOINT) ?? read(ENDPOINT)) !== undefined;
  if (exporters.some((name) => name !== "otlp" && name !== "none")) {
    ignore("OTEL_TRACES_EXPORTER", "only otlp and none are known");
  }
  return exporters.includes("otlp");
}

/** The first is used as it is, to the second a path is added. */
function endpointIn(read: Read, ignore: Ignore): string | undefined {
  const whole = read(TRACES_ENDPOINT);
  const base = read(ENDPOINT) ?? DEFAULT_ENDPOINT;
  const address = whole ?? `${base.replace(/\/$/, "")}/v1/traces`;
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url?.protocol === "http:" || url?.protocol === "https:") return url.href;
  ignore(
    whole === undefined ? ENDPOINT : TRACES_ENDPOINT,
    "is not an address that begins with http:// or https://: no traces are exported",
  );
  return undefined;
}

function checkProtocol(read: Read, ignore: Ignore): void {
  const own = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL";
  const variable = read(own) === undefined ? "OTEL_EXPORTER_OTLP_PROTOCOL" : own;
  if ((read(variable) ?? "http/protobuf") !== "http/protobuf")
    ignore(variable, "only http/protobuf is spoken");
}

function numberIn(read: Read, ignore: Ignore) {
  return (variable: string, fallback: number, least: number): number => {
    const text = read(variable);
    if (text === undefined) return fallback;
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least) return value;
    ignore(variable, `is no whole number from ${least} on`);
    return fallback;
  };
}

function samplerIn(read: Read, ignore: Ignore): TracingSettings["sampler"] {
  const wanted = read("OTEL_TRACES_SAMPLER")?.toLowerCase();
  const name = samplerNames.find((one) => one === wanted);
  if (wanted !== undefined && name === undefined) {
    ignore("OTEL_TRACES_SAMPLER", `is none of ${samplerNames.join(", ")}`);
  }
  const text = read("OTEL_TRACES_SAMPLER_ARG");
  const ratio = text === undefined ? 1 : Number(text);
  if (ratio >= 0 && ratio <= 1) return { name: name ?? "parentbased_always_on", ratio };
  ignore("OTEL_TRACES_SAMPLER_ARG", "is no number from 0 to 1");
  return { name: name ?? "parentbased_always_on", ratio: 1 };
}

/** `key=value,key=value`, with what is neither letter nor digit percent-encoded; a list with a fault is none. */
function pairsOf(text: string | undefined, onFault: () => void): Readonly<Record<string, string>> {
  if (text === undefined) return {};
  try {
    const pairs = text
      .split(",")
      .filter((pair) => pair.trim() !== "")
      .map((pair) => {
        const [, key = "", value = ""] = /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/s.exec(pair) ?? [];
        if (key === "") throw new URIError("no key");
        return [decodeURIComponent(key), decodeURIComponent(value)] as const;
      });
    return Object.fromEntries(pairs);
  } catch {
    onFault();
    return {};
  }
}
