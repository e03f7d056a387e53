import { randomUUIDv7 } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openTracing, type Tracing } from "../../src/adapters/telemetry/tracing.ts";
import { readTracing, type Variables } from "../../src/adapters/telemetry/tracing-settings.ts";
import { createPrometheus } from "../../src/adapters/telemetry/prometheus.ts";
import { GroupCommit } from "../../src/collector/group-commit.ts";
import { encodeRows, type Message } from "../../src/domain/envelope.ts";
import { traceContextOf } from "../../src/domain/trace-context.ts";
import { MillraceError } from "../../src/errors.ts";
import type { Span } from "../../src/ports/tracer.ts";
import type { Emit, SignalName } from "../../src/signals.ts";
import { samplesIn } from "../bench/operator-metrics.ts";
import { type OtlpReceiver, startOtlpReceiver } from "./otlp-receiver.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const spanId = "b7ad6b7169203331";
const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector.test:4318" };

describe("a trace context", () => {
  test.for([
    [`00-${traceId}-${spanId}-01`, `00-${traceId}-${spanId}-01`],
    [`00-${traceId}-${spanId}-00`, `00-${traceId}-${spanId}-00`],
    // A later version is read as far as this one goes.
    [`cc-${traceId}-${spanId}-01-more`, `00-${traceId}-${spanId}-01`],
    [`00-${traceId}-${spanId}-01-more`, undefined],
    [`ff-${traceId}-${spanId}-01`, undefined],
    [`00-${"0".repeat(32)}-${spanId}-01`, undefined],
    [`00-${traceId}-${"0".repeat(16)}-01`, undefined],
    [`00-${traceId.toUpperCase()}-${spanId}-01`, undefined],
    [`00-${traceId}-${spanId}-01, 00-${traceId}-${spanId}-01`, undefined],
    [`cc-${traceId}-${spanId}-01-${"x".repeat(300)}`, undefined],
    ["", undefined],
    [undefined, undefined],
    [42, undefined],
  ] as const)("of %j is %j", ([header, traceparent]) => {
    expect(traceContextOf(header, undefined)?.traceparent).toBe(traceparent);
  });
  test.for([
    ["vendor=1,other=2", "vendor=1,other=2"],
    ["v".repeat(512), "v".repeat(512)],
    ["v".repeat(513), undefined],
    ["a=\r\nb", undefined],
    ["", undefined],
    [7, undefined],
  ] as const)("keeps of the vendors' state %j this: %j", ([header, tracestate]) => {
    expect(traceContextOf(`00-${traceId}-${spanId}-01`, header)?.tracestate).toBe(tracestate);
  });
});

describe("the variables of OpenTelemetry", () => {
  const settingsOf = (variables: Variables) => readTracing(variables, "millrace-query").settings;

  test.for<[Variables, string | undefined]>([
    [{}, undefined],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "" }, undefined],
    [{ OTEL_SERVICE_NAME: "a" }, undefined],
    [endpoint, "http://collector.test:4318/v1/traces"],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "https://a.test/otlp/" }, "https://a.test/otlp/v1/traces"],
    [{ ...endpoint, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://b.test:1/own" }, "http://b.test:1/own"],
    [{ OTEL_TRACES_EXPORTER: "otlp" }, "http://localhost:4318/v1/traces"],
    [{ ...endpoint, OTEL_TRACES_EXPORTER: "none" }, undefined],
    [{ ...endpoint, OTEL_TRACES_EXPORTER: "zipkin, otlp" }, "http://collector.test:4318/v1/traces"],
    [{ ...endpoint, OTEL_TRACES_EXPORTER: "console" }, undefined],
    [{ ...endpoint, OTEL_SDK_DISABLED: "TRUE" }, undefined],
    [{ ...endpoint, OTEL_SDK_DISABLED: "false" }, "http://collector.test:4318/v1/traces"],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4317" }, undefined],
  ])("%j export to %j", ([variables, wanted]) => {
    expect(settingsOf(variables)?.endpoint).toBe(wanted);
  });

  test("name the service, describe the process, and give headers and limits", () => {
    const variables = {
      ...endpoint,
      OTEL_SERVICE_NAME: "shop-events",
      OTEL_RESOURCE_ATTRIBUTES: "service.name=other,deployment.environment.name=a%20b,k8s.pod.name=p-1",
      OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20x,a=1",
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: "a=2",
      OTEL_EXPORTER_OTLP_TIMEOUT: "700",
      OTEL_TRACES_SAMPLER: "traceidratio",
      OTEL_TRACES_SAMPLER_ARG: "0.25",
      OTEL_BSP_MAX_QUEUE_SIZE: "100",
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "1000",
      OTEL_BSP_SCHEDULE_DELAY: "10",
      OTEL_BSP_EXPORT_TIMEOUT: "20",
    };
    expect(readTracing(variables, "millrace-query")).toEqual({
      settings: {
        endpoint: "http://collector.test:4318/v1/traces",
        headers: { authorization: "Bearer x", a: "2" },
        timeoutMs: 700,
        sampler: { name: "traceidratio", ratio: 0.25 },
        resource: {
          "service.name": "shop-events",
          "deployment.environment.name": "a b",
          "k8s.pod.name": "p-1",
        },
        batch: { maxQueueSize: 100, maxExportBatchSize: 100, scheduledDelayMs: 10, exportTimeoutMs: 20 },
      },
      ignored: [],
    });
  });

  test("left out, the service is named for the role and the limits are the standard's", () => {
    expect(settingsOf(endpoint)).toMatchObject({
      timeoutMs: 10_000,
      headers: {},
      sampler: { name: "parentbased_always_on", ratio: 1 },
      resource: { "service.name": "millrace-query" },
      batch: {
        maxQueueSize: 2048,
        maxExportBatchSize: 512,
        scheduledDelayMs: 5000,
        exportTimeoutMs: 30_000,
      },
    });
  });

  test.for([
    ["OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"],
    ["OTEL_EXPORTER_OTLP_HEADERS", "sesame"],
    ["OTEL_EXPORTER_OTLP_HEADERS", "a=%zz-sesame"],
    ["OTEL_RESOURCE_ATTRIBUTES", "=sesame"],
    ["OTEL_TRACES_SAMPLER", "jaeger_remote"],
    ["OTEL_TRACES_SAMPLER_ARG", "1.5"],
    ["OTEL_BSP_MAX_QUEUE_SIZE", "0"],
    ["OTEL_BSP_SCHEDULE_DELAY", "soon"],
    ["OTEL_EXPORTER_OTLP_TIMEOUT", "-1"],
  ] as const)(
    "with a %s of %j that one is told of without its value, and the rest hold",
    ([variable, value]) => {
      const { settings, ignored } = readTracing({ ...endpoint, [variable]: value }, "millrace-query");
      expect(settings).toEqual(settingsOf(endpoint));
      expect(ignored.map((one) => one.variable)).toEqual([variable]);
      expect(JSON.stringify(ignored)).not.toContain("sesame");
    },
  );
});

const systems = { messaging: "embedded", database: "sqlite" };
const facts = { role: "collector", version: "1.2.3", systems, flushMs: 20_000 };
/** Of a process that ends while nobody answers, in milliseconds. */
const SHORT_MS = 300;
const nobody = "http://127.0.0.1:9";

describe("traces that are exported", () => {
  let receiver: OtlpReceiver;
  let told: { readonly name: SignalName; readonly fact: unknown }[];
  const emit: Emit = (name, fact) => void told.push({ name, fact });
  const toldOf = (name: SignalName) => told.filter((one) => one.name === name).map((one) => one.fact);
  beforeEach(async () => {
    told = [];
    receiver = await startOtlpReceiver();
  });
  afterEach(() => receiver[Symbol.asyncDispose]());

  async function open(variables: Variables, more: Partial<typeof facts> = {}): Promise<Tracing> {
    const all = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, ...variables };
    const tracing = await openTracing(all, { ...facts, ...more }, emit);
    if (tracing === undefined) throw new Error("no traces");
    return tracing;
  }
  const post = { kind: "request", method: "POST", route: "/event" } as const;
  const request = ({ tracer }: Tracing, flags?: "00" | "01"): Span =>
    tracer.start(post, {
      parent: flags && { traceparent: `00-${traceId}-${spanId}-${flags}`, tracestate: "vendor=1" },
    });

  test("go on in the trace that a request came with, its vendors' state included", async () => {
    const tracing = await open({ OTEL_EXPORTER_OTLP_HEADERS: "x-key=sesame" });
    const span = request(tracing, "01");
    span.end({ status: 200 });
    await tracing[Symbol.asyncDispose]();
    expect(receiver.spans).toEqual([
      {
        traceId,
        spanId: span.context.traceparent.split("-")[2],
        parentId: spanId,
        traceState: "vendor=1",
        name: "POST /event",
        kind: 2,
        attributes: {
          "http.request.method": "POST",
          "http.route": "/event",
          "url.path": "/event",
          "url.scheme": "http",
          "http.response.status_code": 200,
        },
        links: [],
        status: 0,
        resource: expect.objectContaining({
          "service.name": "millrace-collector",
          "service.version": "1.2.3",
        }),
      },
    ]);
    expect(span.context.tracestate).toBe("vendor=1");
    expect(receiver.requests.map(({ path, headers }) => [path, headers["x-key"]])).toEqual([
      ["/v1/traces", "sesame"],
    ]);
    expect(JSON.stringify(told)).not.toContain("sesame");
  });

  test("have no span of what came unsampled, which is passed on as that", async () => {
    const tracing = await open({});
    const span = request(tracing, "00");
    expect(span.sampled).toBe(false);
    expect(span.context.traceparent).toMatch(new RegExp(`^00-${traceId}-[\\da-f]{16}-00$`));
    span.end({ status: 200 });
    await tracing[Symbol.asyncDispose]();
    expect(receiver.spans).toEqual([]);
  });

  test.for([
    ["always_on", undefined, [true, true, true]],
    ["always_off", undefined, [false, false, false]],
    ["traceidratio", "0", [false, false, false]],
    ["traceidratio", "1", [true, true, true]],
    ["parentbased_always_on", undefined, [true, false, true]],
    ["parentbased_always_off", undefined, [false, false, true]],
    ["parentbased_traceidratio", "0", [false, false, true]],
    [undefined, undefined, [true, false, true]],
  ] as const)(
    "sample by %s %s new traces, unsampled ones, sampled ones: %j",
    async ([name, ratio, sampled]) => {
      await using tracing = await open({ OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: ratio });
      const spans = [request(tracing), request(tracing, "00"), request(tracing, "01")];
      expect(spans.map((span) => span.sampled)).toEqual(sampled);
    },
  );

  test("mark what failed, with the error's code and not its words", async () => {
    const tracing = await open({});
    request(tracing).end({ status: 503 });
    request(tracing).end({ status: 400 });
    const store = { kind: "store", queue: "hourlyLog", operation: "apply" } as const;
    tracing.tracer.start(store, { parent: undefined }).end({ error: "STORE_UNAVAILABLE" });
    await tracing[Symbol.asyncDispose]();
    expect(receiver.spans.map(({ status, attributes }) => [status, attributes["error.type"]])).toEqual([
      [2, "503"],
      [0, undefined],
      [2, "STORE_UNAVAILABLE"],
    ]);
  });

  describe("of requests that share a message", () => {
    const published: Message[] = [];
    let failure: MillraceError | undefined;
    const publisher = {
      async publish(message: Message) {
        if (failure !== undefined) throw failure;
        published.push(message);
      },
    };
    const encode = (rows: readonly string[]) => encodeRows(randomUUIDv7(), rows);
    const publishAll = async (tracing: Tracing | undefined, spans: readonly (Span | undefined)[]) => {
      published.length = 0;
      const group = new GroupCommit({ publisher, encode, emit, tracer: tracing?.tracer }, 1000);
      await Promise.allSettled(spans.map((span) => group.add({ rows: "[]", events: 1, span })));
      for (const span of spans) span?.end({});
      await tracing?.[Symbol.asyncDispose]();
      return receiver.spans.find(({ name }) => name === "publish metric-collector");
    };
    const idsOf = ({ context }: Span) => context.traceparent.split("-").slice(1, 3).join("-");
    beforeEach(() => {
      failure = undefined;
    });

    test("put the message in the trace of the first sampled one and link to the other sampled ones", async () => {
      const tracing = await open({});
      const [unsampled, first, second] = [
        request(tracing, "00"),
        request(tracing, "01"),
        request(tracing),
      ] as const;
      const span = await publishAll(tracing, [unsampled, first, unsampled, second]);
      expect(`${span?.traceId}-${span?.parentId}`).toBe(idsOf(first));
      expect(span?.links).toEqual([idsOf(second)]);
      expect(span?.attributes).toMatchObject({
        "messaging.message.id": published[0]?.id,
        "messaging.operation.type": "send",
        "messaging.system": "embedded",
        "millrace.message.events": 4,
      });
      expect(published.map(({ trace }) => trace)).toEqual([
        { traceparent: `00-${span?.traceId}-${span?.spanId}-01`, tracestate: "vendor=1" },
      ]);
    });

    test("link to 32 at most", async () => {
      const tracing = await open({});
      const spans = Array.from({ length: 50 }, () => request(tracing));
      const span = await publishAll(tracing, spans);
      expect(span?.links).toEqual(spans.slice(1, 33).map(idsOf));
    });

    test("pass on that none was sampled, so that no worker begins a trace of it", async () => {
      const tracing = await open({});
      expect(await publishAll(tracing, [request(tracing, "00"), request(tracing, "00")])).toBeUndefined();
      expect(published[0]?.trace?.traceparent).toMatch(new RegExp(`^00-${traceId}-[\\da-f]{16}-00$`));
    });

    test("tell of a message that was not confirmed by the error's code", async () => {
      failure = new MillraceError("BROKER_FULL", "the file of sesame");
      const tracing = await open({});
      const span = await publishAll(tracing, [request(tracing)]);
      expect([span?.status, span?.attributes["error.type"]]).toEqual([2, "BROKER_FULL"]);
      expect(JSON.stringify(receiver.spans)).not.toContain("sesame");
    });

    test("leave a message as it is where traces are off", async () => {
      expect(await publishAll(undefined, [undefined])).toBeUndefined();
      expect(published.map((message) => "trace" in message)).toEqual([false]);
    });
  });

  test("that find nobody are counted, told of once, and no more of them kept than the queue holds", async () => {
    const tracing = await open({
      OTEL_EXPORTER_OTLP_ENDPOINT: nobody,
      OTEL_EXPORTER_OTLP_TIMEOUT: "50",
      OTEL_BSP_MAX_QUEUE_SIZE: "4",
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "4",
    });
    for (let i = 0; i < 100; i += 1) request(tracing).end({});
    // Four are on their way, four wait, and for the rest there is no room.
    expect(toldOf("spans.lost")).toEqual([{ spans: 1, reason: "the queue of spans is full" }]);
    await tracing[Symbol.asyncDispose]();
    const [, atEnd, ...more] = toldOf("spans.lost") as { spans: number; reason: string }[];
    expect([atEnd?.spans, more]).toEqual([99, []]);
    const [opened] = toldOf("tracing.opened") as { figures: () => object }[];
    expect(opened?.figures()).toEqual({ exported: 0, dropped: 92, failed: 8 });
  });

  test("do not keep the process that ends waiting for an answer longer than they may", async () => {
    await using silent = await startOtlpReceiver("silent");
    const tracing = await open({ OTEL_EXPORTER_OTLP_ENDPOINT: silent.url }, { flushMs: SHORT_MS });
    for (let i = 0; i < 3; i += 1) request(tracing).end({});
    const startedAt = performance.now();
    await tracing[Symbol.asyncDispose]();
    const took = performance.now() - startedAt;
    expect(took).toBeGreaterThanOrEqual(SHORT_MS - 5);
    // Its export's own time-out is 10 s.
    expect(took).toBeLessThan(SHORT_MS + 5000);
  });

  test("are counted by a metric, which is not there while traces are off", async () => {
    const prometheus = createPrometheus({ version: "", role: "", maxWaitSeconds: 1 });
    const spans = async () =>
      samplesIn((await prometheus.metrics()).text)
        .filter(({ name }) => name === "millrace_spans_total")
        .map(({ labels, value }) => [labels["outcome"], value]);
    expect(await spans()).toEqual([]);
    const both: Emit = (name, fact) => prometheus.emit(name, fact);
    const tracing = await openTracing({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url }, facts, both);
    tracing?.tracer.start(post, { parent: undefined }).end({});
    expect(await spans()).toContainEqual(["exported", 0]);
    await tracing?.[Symbol.asyncDispose]();
    const counted = [
      ["exported", 1],
      ["dropped", 0],
      ["failed", 0],
    ];
    expect(await spans()).toEqual(counted);
    expect(await spans()).toEqual(counted);
  });
});
