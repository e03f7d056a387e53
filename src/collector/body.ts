import type { IncomingMessage } from "node:http";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { MillraceError } from "../errors.ts";

/** Bytes that requests in hand hold, against a bound: the answer to more is 503, never a growing heap. */
export interface Budget {
  readonly maxBytes: number;
  usedBytes: number;
}

/** What one request holds of the budget; given back when it is disposed. */
export class Hold implements Disposable {
  readonly #budget: Budget;
  #bytes = 0;

  constructor(budget: Budget) {
    this.#budget = budget;
    this.add(REQUEST_BYTES);
  }

  /** @throws MillraceError OVERLOADED, holding nothing more. */
  add(bytes: number): void {
    if (this.#budget.usedBytes + bytes > this.#budget.maxBytes) throw new MillraceError("OVERLOADED");
    this.#budget.usedBytes += bytes;
    this.#bytes += bytes;
  }

  [Symbol.dispose](): void {
    this.#budget.usedBytes -= this.#bytes;
    this.#bytes = 0;
  }
}

/** What a request costs beside its body: sockets, headers, promises. Measured at some 3 KiB. */
const REQUEST_BYTES = 4096;

/**
 * Reads a body of at most `maxBytes`, before and after inflation.
 * @throws MillraceError BODY_TOO_LARGE, OVERLOADED, MALFORMED_BODY or UNSUPPORTED_MEDIA_TYPE.
 */
export async function readBody(request: IncomingMessage, maxBytes: number, hold: Hold): Promise<Buffer> {
  const encoding = request.headers["content-encoding"] ?? "identity";
  if (encoding !== "identity" && encoding !== "gzip") {
    throw new MillraceError(
      "UNSUPPORTED_MEDIA_TYPE",
      `content-encoding ${JSON.stringify(encoding)}; only gzip is`,
    );
  }
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) throw tooLarge(maxBytes);
  const body = await received(request, maxBytes, hold);
  return encoding === "gzip" ? inflated(body, maxBytes, hold) : body;
}

function received(request: IncomingMessage, maxBytes: number, hold: Hold): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const fail = (error: Error) => {
      request.off("data", onData).resume();
      reject(error);
    };
    const onData = (chunk: Buffer) => {
      bytes += chunk.byteLength;
      chunks.push(chunk);
      if (bytes > maxBytes) return fail(tooLarge(maxBytes));
      try {
        hold.add(chunk.byteLength);
      } catch (error) {
        fail(error as Error);
      }
    };
    request.on("data", onData);
    request.once("end", () =>
      resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, bytes)),
    );
    // The client has gone: nobody hears the answer.
    request.once("error", (cause) =>
      reject(new MillraceError("MALFORMED_BODY", "the body ended early", { cause })),
    );
  });
}

const inflate = promisify(gunzip);

async function inflated(body: Buffer, maxBytes: number, hold: Hold): Promise<Buffer> {
  // The size that gzip states at its end (RFC 1952, ISIZE). One who lies gets no further than maxBytes.
  const stated = body.byteLength < 4 ? 0 : body.readUInt32LE(body.byteLength - 4);
  hold.add(Math.min(stated, maxBytes));
  try {
    return await inflate(body, { maxOutputLength: maxBytes });
  } catch (cause) {
    if (cause instanceof RangeError) throw tooLarge(maxBytes);
    throw new MillraceError("MALFORMED_BODY", "the body is not well-formed gzip", { cause });
  }
}

function tooLarge(maxBytes: number): MillraceError {
  return new MillraceError(
    "BODY_TOO_LARGE",
    `at most ${maxBytes} bytes are taken, before and after inflation`,
  );
}
