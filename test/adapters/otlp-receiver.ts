import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";

/** A span as it was exported. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty where there is none. */
  readonly parentId: string;
  readonly traceState: string;
  readonly name: string;
  /** 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** `trace id-span id` of each. */
  readonly links: readonly string[];
  /** 0 unset, 2 error. */
  readonly status: number;
  readonly resource: Readonly<Record<string, unknown>>;
}

export interface OtlpReceiver extends AsyncDisposable {
  readonly url: string;
  readonly spans: readonly ReceivedSpan[];
  /** Of each request, answered or not. */
  readonly requests: readonly { readonly path: string; readonly headers: IncomingHttpHeaders }[];
}

/** Takes OTLP over HTTP on the loopback; `silent` reads every request and answers none. */
export async function startOtlpReceiver(manner: "answering" | "silent" = "answering"): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  const requests: { path: string; headers: IncomingHttpHeaders }[] = [];
  const server = createServer((request, response) => {
    requests.push({ path: request.url ?? "", headers: request.headers });
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      if (manner === "silent") return;
      spans.push(...spansIn(Buffer.concat(chunks)));
      response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** The fields of opentelemetry/proto/trace/v1/trace.proto that the tests look at, by their numbers. */
function spansIn(bytes: Buffer): readonly ReceivedSpan[] {
  return messagesIn(bytes, 1).flatMap((resourceSpans) => {
    const resource = messagesIn(resourceSpans, 1).map((one) => attributesIn(one, 1))[0] ?? {};
    return messagesIn(resourceSpans, 2)
      .flatMap((scopeSpans) => messagesIn(scopeSpans, 2))
      .map((span) => ({
        traceId: hexIn(span, 1),
        spanId: hexIn(span, 2),
        traceState: textIn(span, 3),
        parentId: hexIn(span, 4),
        name: textIn(span, 5),
        kind: numberIn(span, 6),
        attributes: attributesIn(span, 9),
        links: messagesIn(span, 13).map((link) => `${hexIn(link, 1)}-${hexIn(link, 2)}`),
        status: numberIn(messagesIn(span, 15)[0] ?? Buffer.alloc(0), 3),
        resource,
      }));
  });
}

type Field = readonly [number, bigint | Buffer];

/** Reads protobuf's wire format: https://protobuf.dev/programming-guides/encoding/ */
function* fieldsOf(bytes: Buffer): Generator<Field> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const slice = (length: number): Buffer => bytes.subarray(at, (at += length));
  while (at < bytes.length) {
    const tag = Number(varint());
    const wire = tag & 7;
    if (wire === 0) yield [tag >> 3, varint()];
    else if (wire === 1) yield [tag >> 3, slice(8)];
    else if (wire === 2) yield [tag >> 3, slice(Number(varint()))];
    else if (wire === 5) yield [tag >> 3, slice(4)];
    else throw new Error(`wire type ${wire} at byte ${at}`);
  }
}

function messagesIn(bytes: Buffer, field: number): readonly Buffer[] {
  return Array.from(fieldsOf(bytes)).flatMap(([number, value]) =>
    number === field && typeof value !== "bigint" ? [value] : [],
  );
}
const hexIn = (bytes: Buffer, field: number): string => messagesIn(bytes, field)[0]?.toString("hex") ?? "";
const textIn = (bytes: Buffer, field: number): string => messagesIn(bytes, field)[0]?.toString() ?? "";
function numberIn(bytes: Buffer, field: number): number {
  return Number(Array.from(fieldsOf(bytes)).find(([number]) => number === field)?.[1] ?? 0);
}

/** Texts, booleans and integers; of other kinds only that they are there. */
function attributesIn(bytes: Buffer, field: number): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    messagesIn(bytes, field).map((pair) => {
      const [kind, value] = Array.from(fieldsOf(messagesIn(pair, 2)[0] ?? Buffer.alloc(0)))[0] ?? [];
      const read = { 1: () => String(value), 2: () => value === 1n, 3: () => Number(value) };
      return [textIn(pair, 1), read[kind as 1 | 2 | 3]?.() ?? kind];
    }),
  );
}
