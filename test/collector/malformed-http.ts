import { gzipSync } from "node:zlib";
import { chunked, event, framed, good, gzip, json, ok, type Row, type Table } from "./requests.ts";
import { bytes, lines, request } from "./wire.ts";

const packed = gzipSync(ok);

const routes = ["/event", "/events", "/debug/vars", "/openapi.json"];
const others = ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"];
const last = lines("2b", ok, "0", "");
const coded = (coding: string): Buffer => bytes(framed(`transfer-encoding: ${coding}`, ""), "0\r\n\r\n");
const chunk = (size: string): Buffer => chunked(lines(size, ok, "0", ""));
const hello =
  "16030100c4010000c00303" + "ab".repeat(32) + "20" + "cd".repeat(32) + "003e130213031301c02cc030";
const version = (text: string): Buffer =>
  bytes(
    event(ok)
      .toString()
      .replace(" HTTP/1.1", text === "" ? "" : ` ${text}`),
  );

export const malformedHttp: readonly Table[] = [
  {
    title: "another method is refused, with those that are allowed:",
    rows: [
      ...["/event", "/events"].map((path): Row => [`GET ${path}`, request(`GET ${path}`), 405]),
      ...["/debug/vars", "/openapi.json"].map(
        (path): Row => [`POST ${path}`, request(`POST ${path}`, ok, json), 405],
      ),
      ...routes.flatMap((path) =>
        others.map((method): Row => [`${method} ${path}`, request(`${method} ${path}`), 405]),
      ),
      ["GET /event with a query", request("GET /event?username=bad"), 405],
      ["PUT /event with a body", request("PUT /event", ok, json), 405],
      ["GET /event/, where POST is taken too", request("GET /event/"), 405],
    ],
  },
  {
    title: "a path where there is nothing is refused:",
    rows: [
      ["/", request("POST /", ok, json), 404],
      ["/Event", request("POST /Event", ok, json), 404],
      ["/event/1", request("POST /event/1", ok, json), 404],
      ["/event%2f", request("POST /event%2f", ok, json), 404],
      ["/x/../event", request("POST /x/../event", ok, json), 404],
      ["//event", request("POST //event", ok, json), 404],
      ["*", request("OPTIONS *"), 404],
      ["/__proto__", request("GET /__proto__"), 404],
      ["a path of 10 000 letters", request(`GET /${"p".repeat(10_000)}`), 404],
      ["a path with a broken escape", request("GET /%zz"), 400],
      ["a path with half an escape", request("POST /event%", ok, json), 400],
    ],
  },
  {
    title: "a request whose length cannot be told is refused:",
    rows: [
      ["a length that is negative", bytes(framed("content-length: -1", ""), ok), 400],
      ["a length that is a word", bytes(framed("content-length: many", ""), ok), 400],
      ["a length with a plus", bytes(framed("content-length: +43", ""), ok), 400],
      ["a length in hexadecimal", bytes(framed("content-length: 0x2b", ""), ok), 400],
      ["a length with a fraction", bytes(framed("content-length: 43.0", ""), ok), 400],
      ["a length that is empty", bytes(framed("content-length:", ""), ok), 400],
      ["a length past 2^64", bytes(framed(`content-length: ${2n ** 64n + 43n}`, ""), ok), 400],
      ["two lengths that differ", bytes(framed("content-length: 43", "content-length: 5", ""), ok), 400],
      [
        "two lengths that are the same",
        bytes(framed("content-length: 43", "content-length: 43", ""), ok),
        400,
      ],
      ["a list of lengths", bytes(framed("content-length: 43, 43", ""), ok), 400],
      [
        "a length and chunks",
        bytes(framed("content-length: 4", "transfer-encoding: chunked", ""), last),
        400,
      ],
      ["chunks and a length", bytes(framed("transfer-encoding: chunked", "content-length: 43", ""), ok), 400],
      ["a transfer coding that there is not", coded("xchunked"), 400],
      ["gzip as the last transfer coding", coded("chunked, gzip"), 400],
      ["identity as the transfer coding", bytes(framed("transfer-encoding: identity", ""), ok), 400],
      ["chunked after a control character", coded("\x0bchunked"), 400],
      ["a blank before the colon", bytes(framed("transfer-encoding : chunked", ""), "0\r\n\r\n"), 400],
      ["a length too short, the rest taken for a request", event(ok, { "content-length": "20" }), [400, 400]],
      ["a length too long, and then the end", event(ok, { "content-length": "100" }), 400, "half-closed"],
      ["a length too long, and then a reset", event(ok, { "content-length": "100" }), [], "reset"],
      ["a length too long, and then silence", event(ok, { "content-length": "100" }), 408],
    ],
  },
  {
    title: "malformed chunks are refused:",
    rows: [
      ["a size that is a word", chunk("many"), 400],
      ["a size that is negative", chunk("-2b"), 400],
      ["a size with 0x", chunk("0x2b"), 400],
      ["a size that is empty", chunk(""), 400],
      ["a size past 2^64", chunk("1000000000000002b"), 400],
      ["a size too short", chunk("2a"), 400],
      ["a size with a blank before it", chunk(" 2b"), 400],
      ["a size ended by a line feed alone", chunked(`2b\n${ok}\r\n0\r\n\r\n`), 400],
      ["a chunk not ended", chunked(`2b\r\n${ok}0\r\n\r\n`), 400],
      ["an extension of 20 000 letters", chunk(`2b;x=${"x".repeat(20_000)}`), 400],
      ["a trailer that is no header", chunked(lines("2b", ok, "0", "garbage", "")), 400],
      ["a trailer of 20 000 letters", chunked(lines("2b", ok, "0", `x: ${"x".repeat(20_000)}`, "")), 400],
      ["no last chunk, and then the end", chunked(lines("2b", ok)), 400, "half-closed"],
      ["no last chunk, and then a reset", chunked(lines("2b", ok)), [], "reset"],
      ["no last chunk, and then silence", chunked(lines("2b", ok)), 408],
    ],
  },
  {
    title: "what is slow to arrive is cut off:",
    rows: [
      ["a body that does not come", event("", { "content-length": "43" }), 408],
      ["a body that stops", event(ok.slice(0, 9), { "content-length": "43" }), 408],
      ["a gzip body that stops", event(packed.subarray(0, 9), { ...gzip, "content-length": "99" }), 408],
      ["headers that stop", bytes(framed()), 408],
      ["a request line that stops", bytes("POST /ev"), 408],
      ["a second request that stops", bytes(event(good), framed()), [200, 408]],
    ],
  },
  {
    title: "what is not HTTP/1.1 is refused:",
    rows: [
      ["the hello of TLS", Buffer.from(hello, "hex"), 400],
      ["the greeting of SSH", bytes("SSH-2.0-OpenSSH_9.9\r\n"), 400],
      ["the preface of HTTP/2", bytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 400],
      ["a request line of HTTP/0.9", bytes("GET /event\r\n"), 408],
      ["HTTP/0.9 in a good event", version("HTTP/0.9"), 400],
      ["HTTP/2.0 in a good event", version("HTTP/2.0"), 400],
      ["no version in a good event", version(""), 400],
      ["HTTP/9.9", bytes(framed().replace("1.1", "9.9"), "\r\n"), 400],
      ["HTTP/1", bytes(framed().replace("1.1", "1"), "\r\n"), 400],
      ["http/1.1 in small letters", bytes(framed().replace("HTTP", "http"), "\r\n"), 400],
      ["a method that there is not", request("BREW /event"), 400],
      ["a method in small letters", request("post /event", ok, json), 400],
      ["garbage", bytes("garbage\r\n\r\n"), 400],
      ["NUL bytes", Buffer.alloc(100), 400],
      ["random bytes", Buffer.from("9f3c01ff7e8812ab00d5c4", "hex"), 400],
      ["JSON without HTTP", bytes(ok, "\n"), 400],
      ["AMQP", Buffer.from("414d515000000901", "hex"), 400],
      ["line feeds alone", bytes(event(ok).toString().replaceAll("\r\n", "\n")), 400],
      ["a header without a colon", bytes(framed("garbage", "")), 400],
      ["a header with a blank in its name", bytes(framed("x y: 1", "")), 400],
      ["a header with a NUL", bytes(framed("x: a\0b", "")), 400],
      ["a header with a lone carriage return", bytes(framed("x: a\rb", "")), 400],
      ["a header on two lines", bytes(framed("x: a", " b", "")), 400],
      ["a path without a slash", request("POST event", ok, json), 400],
      ["a header without a name", bytes(framed(": 1", "")), 400],
      ["headers of 20 000 letters", event(ok, { x: "x".repeat(20_000) }), 400],
      ["a thousand headers", bytes(framed(...Array<string>(1000).fill("x: 12345678901234567"), "")), 400],
      ["no host", event(ok, { host: undefined }), 400],
      ["two hosts", bytes(framed("host: example.org", "content-length: 43", ""), ok), 400],
      ["CONNECT", bytes("CONNECT localhost:80 HTTP/1.1\r\nhost: localhost:80\r\n\r\n"), []],
      ["garbage after a good request", bytes(event(good), "garbage\r\n\r\n"), [200, 400]],
      [
        "garbage after three good requests",
        bytes(event(good), event(good), event(good), "garbage\r\n\r\n"),
        [200, 200, 200, 400],
      ],
      ["a broken chunk after a good request", bytes(event(good), chunk("many")), [200, 400]],
      ["a bad event after a good one", bytes(event(good), event("{}"), event(good)), [200, 400, 200]],
      ["garbage after a bad event", bytes(event("{}"), "garbage\r\n\r\n"), [400, 400]],
    ],
  },
];
