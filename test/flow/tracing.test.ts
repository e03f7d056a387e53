import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from "../adapters/otlp-receiver.ts";
import { traceOf } from "./one-trace.ts";
import { childEnvironment, millraceBin, type Standalone, startChild, startStandalone } from "./standalone.ts";

const workers = ["accountName", "distinctName", "hourlyLog"] as const;
const soon = { timeout: 20_000, interval: 20 };
let made = 0;
const newTraceId = (): string => (made += 1).toString(16).padStart(32, "a");
const callersSpan = "b7ad6b7169203331";

const exportingTo = (url: string) => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: url,
  OTEL_BSP_SCHEDULE_DELAY: "50",
});

async function post(
  collectorUrl: string,
  headers: Readonly<Record<string, string>> = {},
  more: Readonly<Record<string, unknown>> = {},
): Promise<number> {
  const response = await fetch(`${collectorUrl}/event`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ username: "sesame-user", metric: "sesame-metric", count: 4711, ...more }),
  });
  return response.status;
}

describe("a standalone that exports traces", () => {
  let receiver: OtlpReceiver;
  let standalone: Standalone;
  beforeAll(async () => {
    receiver = await startOtlpReceiver();
    standalone = await startStandalone({ environment: exportingTo(receiver.url) });
  });
  afterAll(async () => {
    await standalone[Symbol.asyncDispose]();
    await receiver[Symbol.asyncDispose]();
  });
  /** The spans of a trace, once there are so many. */
  const spansOf = (traceId: string | undefined, count: number): Promise<readonly ReceivedSpan[]> =>
    vi.waitFor(() => {
      const spans = receiver.spans.filter((span) => span.traceId === traceId);
      expect(spans.length).toBeGreaterThanOrEqual(count);
      return spans;
    }, soon);

  test("makes one trace of a POST, from its answer to the store in all three workers", async () => {
    expect(await post(standalone.collectorUrl)).toBe(200);
    const first = await vi.waitFor(() => receiver.spans[0] ?? Promise.reject(new Error("no span yet")), soon);
    const spans = await spansOf(first.traceId, 8);
    expect(traceOf(spans, "")).toEqual({
      "POST /event": {
        "publish metric-collector": Object.fromEntries(
          workers.map((queue) => [`process ${queue}`, { "store apply": {} }]),
        ),
      },
    });
    const consumers = spans.filter(({ kind }) => kind === 5);
    const messageId = spans.find(({ kind }) => kind === 4)?.attributes["messaging.message.id"];
    expect(messageId).toMatch(/^[\da-f-]{36}$/);
    expect(consumers.map(({ attributes }) => attributes)).toEqual(
      consumers.map(({ name }) => ({
        "messaging.system": "embedded",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": name.split(" ")[1],
        "messaging.message.id": messageId,
        "messaging.message.body.size": expect.any(Number),
        "millrace.delivery.attempt": 1,
        "millrace.delivery.outcome": "ack",
        "millrace.message.events": 1,
      })),
    );
    expect(JSON.stringify(receiver.spans)).not.toMatch(/sesame|4711/);
  });

  test("goes on in the trace that a POST came with, and claims the event's id in it", async () => {
    const traceId = newTraceId();
    const headers = { traceparent: `00-${traceId}-${callersSpan}-01`, tracestate: "vendor=1" };
    expect(await post(standalone.collectorUrl, headers, { id: "sesame-id" })).toBe(200);
    const spans = await spansOf(traceId, 10);
    expect(traceOf(spans, callersSpan)).toEqual({
      "POST /event": {
        "publish metric-collector": {
          "process accountName": { "store apply": {} },
          "process distinctName": { "store claim": {}, "store apply": {} },
          "process hourlyLog": { "store claim": {}, "store apply": {} },
        },
      },
    });
    expect(new Set(spans.map(({ traceState }) => traceState))).toEqual(new Set(["vendor=1"]));
    expect(new Set(spans.map(({ resource }) => resource["service.name"]))).toEqual(
      new Set(["millrace-standalone"]),
    );
    expect(JSON.stringify(spans)).not.toMatch(/sesame|4711/);
  });

  test("makes no span of a POST that came unsampled, and one of a POST that is refused", async () => {
    const [unsampled, sampled] = [newTraceId(), newTraceId()];
    const ofTrace = (traceId: string, flags: string) => ({
      traceparent: `00-${traceId}-${callersSpan}-${flags}`,
    });
    expect(await post(standalone.collectorUrl, ofTrace(unsampled, "00"))).toBe(200);
    expect(await post(standalone.collectorUrl, ofTrace(sampled, "01"))).toBe(200);
    expect(await post(standalone.collectorUrl, ofTrace(sampled, "01"), { count: "many" })).toBe(400);
    const spans = await spansOf(sampled, 9);
    expect(spans.filter(({ kind }) => kind === 2).map(({ attributes }) => attributes)).toEqual([
      expect.objectContaining({ "http.response.status_code": 200 }),
      expect.objectContaining({ "http.response.status_code": 400 }),
    ]);
    await standalone.stop();
    expect(receiver.spans.filter((span) => span.traceId === unsampled)).toEqual([]);
    // Nor has a worker begun a trace of it: each other trace of this file has a request.
    const requests = new Set(receiver.spans.filter(({ kind }) => kind === 2).map(({ traceId }) => traceId));
    expect(receiver.spans.filter(({ traceId }) => !requests.has(traceId))).toEqual([]);
  });
});

test("a trace goes on in the process that takes the message, though the one that published it has ended", async () => {
  await using receiver = await startOtlpReceiver();
  const dataDir = await mkdtemp(join(tmpdir(), "millrace-tracing-"));
  const traceId = newTraceId();
  const start = (...words: readonly string[]) => {
    let log = "";
    const child = startChild([millraceBin, ...words], {
      env: childEnvironment({
        MILLRACE_COLLECTOR_PORT: "0",
        MILLRACE_ADMIN_PORT: "0",
        MILLRACE_DATA_DIR: dataDir,
        ...exportingTo(receiver.url),
      }),
      cwd: dataDir,
      keep: (text) => {
        log += text;
      },
    });
    return { ...child, log: () => log };
  };
  const namesOf = () =>
    receiver.spans
      .filter((span) => span.traceId === traceId)
      .map(({ name, resource }) => `${String(resource["service.name"])}: ${name}`)
      .toSorted();
  try {
    const collector = start("collector");
    const collectorUrl = await vi.waitFor(() => {
      const found = /"role":"collector","address":"([^"]+)"/.exec(collector.log())?.[1];
      return found ?? Promise.reject(new Error(collector.log()));
    }, soon);
    expect(await post(collectorUrl, { traceparent: `00-${traceId}-${callersSpan}-01` })).toBe(200);
    const published = ["millrace-collector: POST /event", "millrace-collector: publish metric-collector"];
    await vi.waitFor(() => expect(namesOf()).toEqual(published), soon);
    collector.kill("SIGTERM");
    expect(await collector.exited).toEqual({ code: 0, signal: null });
    const worker = start("worker", "hourlyLog");
    const processed = ["millrace-hourlyLog: process hourlyLog", "millrace-hourlyLog: store apply"];
    await vi.waitFor(() => expect(namesOf()).toEqual([...published, ...processed]), soon);
    worker.kill("SIGTERM");
    expect(await worker.exited).toEqual({ code: 0, signal: null });
    expect(Object.keys(traceOf(receiver.spans, callersSpan))).toEqual(["POST /event"]);
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
});

describe("a standalone whose traces find", () => {
  /** Nothing listens there; or it takes all and answers nothing. */
  const ends = {
    "nobody at home": async () => ({
      url: "http://127.0.0.1:9",
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
    "no answer": () => startOtlpReceiver("silent"),
  };
  test.for(Object.entries(ends))(
    "%s takes every event, tells once that spans are lost, and ends in time",
    async ([, open]) => {
      await using end = await open();
      await using standalone = await startStandalone({
        environment: {
          ...exportingTo(end.url),
          OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20sesame",
          OTEL_BSP_MAX_QUEUE_SIZE: "20",
          OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "10",
        },
      });
      for (let i = 0; i < 40; i += 1) expect(await post(standalone.collectorUrl)).toBe(200);
      const totals = await vi.waitFor(async () => {
        const response = await fetch(`${standalone.queryUrl}/metrics/hourly_logs/total`);
        const text = await response.text();
        expect(text).toContain(`"count":40`);
        return text;
      }, soon);
      expect(totals).toContain("sesame-metric");
      const startedAt = performance.now();
      expect(await standalone.stop()).toEqual({ code: 0, signal: null });
      // Longest: the drain, which has nothing to do, and 2 s for the last spans; an export itself would try for 10 s.
      expect(performance.now() - startedAt).toBeLessThan(8000);
      const lines = standalone.log().split("\n");
      const lost = lines.filter((line) => line.includes("spans of traces were lost"));
      // The second is the sum at the end.
      expect(lost.length).toBeGreaterThanOrEqual(1);
      expect(lost.length).toBeLessThanOrEqual(2);
      expect(standalone.log()).not.toContain("sesame");
    },
  );
});

// prom-client loads the API, whatever becomes of traces.
describe("the modules of OpenTelemetry but its API", () => {
  /** Says on stderr what is loaded, for processes that NODE_OPTIONS hands it to. */
  const watching = `--import=data:text/javascript,${encodeURIComponent(`
    import { registerHooks } from "node:module";
    registerHooks({ load(url, context, next) {
      if (/@opentelemetry.(?!api.)/.test(url)) process.stderr.write("loaded " + url + "\\n");
      return next(url, context);
    } });
  `)}`;
  const loadedBy = async (environment: Readonly<Record<string, string>>): Promise<boolean> => {
    await using standalone = await startStandalone({
      environment: { NODE_OPTIONS: watching, ...environment },
    });
    expect(await post(standalone.collectorUrl)).toBe(200);
    await standalone.stop();
    return standalone.log().includes("loaded ");
  };

  test("are loaded where traces are exported", async () => {
    expect(
      await loadedBy({ OTEL_TRACES_EXPORTER: "otlp", OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9" }),
    ).toBe(true);
  });
  test.for<Readonly<Record<string, string>>>([
    {},
    { OTEL_SERVICE_NAME: "a" },
    { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9", OTEL_SDK_DISABLED: "true" },
  ])("are not loaded with %j", async (environment) => {
    expect(await loadedBy(environment)).toBe(false);
  });
});
