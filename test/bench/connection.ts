import { type Socket, connect } from "node:net";

/** An answer to one POST. Only the start of the body is kept: enough for the figures of a batch or for a problem. */
export interface Answer {
  readonly status: number;
  readonly head: string;
  readonly bodyStart: string;
}

const BODY_START_BYTES = 2048;
/** A server that is silent for so long has hung. */
const SILENT_MS = 60_000;

/** The bytes of a POST, made once and sent many times. */
export function encodePost(url: string, body: Buffer): Buffer {
  const { host, pathname } = new URL(url);
  const head = `POST ${pathname} HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\ncontent-length: ${body.byteLength}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

/**
 * One kept-alive HTTP connection with as little of a client as there can be, because the load generator shares the
 * cores with the server. One POST at a time; connects again where the server has closed.
 */
export class Connection implements Disposable {
  readonly #port: number;
  readonly #host: string;
  #socket: Socket | undefined;
  #pending: { done(answer: Answer): void; fail(error: Error): void } | undefined;
  #head = "";
  #status = 0;
  #bodyStart: Buffer[] = [];
  #bodyStartBytes = 0;
  /** Bytes of the body still to come; undefined while the head is read. */
  #bodyLeft: number | undefined;

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.#host = hostname;
    this.#port = Number(port);
  }

  /** Rejects when the connection ends before a whole answer: the outcome is then unknown. */
  async post(bytes: Buffer): Promise<Answer> {
    return new Promise((done, fail) => {
      this.#pending = { done, fail };
      this.#socket ??= this.#open();
      this.#socket.write(bytes);
    });
  }

  [Symbol.dispose](): void {
    this.#socket?.destroy();
  }

  #open(): Socket {
    const socket = connect({ host: this.#host, port: this.#port, noDelay: true });
    socket.setTimeout(SILENT_MS, () => socket.destroy(new Error(`no answer within ${SILENT_MS} ms`)));
    let failure: Error | undefined;
    socket.on("data", (chunk) => this.#read(chunk));
    socket.once("error", (error) => (failure = error));
    socket.once("close", () => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      this.#reset();
      const pending = this.#pending;
      this.#pending = undefined;
      pending?.fail(failure ?? new Error("the server closed the connection before its answer"));
    });
    return socket;
  }

  #read(chunk: Buffer): void {
    let body = chunk;
    if (this.#bodyLeft === undefined) {
      // Heads come in one piece but for rare cases, so that adding up strings is cheap.
      const known = this.#head.length;
      this.#head += chunk.toString("latin1");
      const end = this.#head.indexOf("\r\n\r\n");
      if (end < 0) return;
      body = chunk.subarray(end + 4 - known);
      this.#head = this.#head.slice(0, end);
      this.#status = Number(this.#head.slice(9, 12));
      const length = /\r\ncontent-length: *(\d+)/i.exec(this.#head)?.[1];
      if (length === undefined) {
        this.#socket?.destroy(new Error(`an answer without content-length:\n${this.#head}`));
        return;
      }
      this.#bodyLeft = Number(length);
    }
    if (this.#bodyStartBytes < BODY_START_BYTES) {
      this.#bodyStart.push(body.subarray(0, BODY_START_BYTES));
      this.#bodyStartBytes += body.byteLength;
    }
    this.#bodyLeft -= body.byteLength;
    if (this.#bodyLeft <= 0) this.#finish();
  }

  #finish(): void {
    const answer: Answer = {
      status: this.#status,
      head: this.#head,
      bodyStart: Buffer.concat(this.#bodyStart).toString(),
    };
    const pending = this.#pending;
    this.#pending = undefined;
    if (/\r\nconnection: *close/i.test(answer.head)) {
      this.#socket?.destroy();
      this.#socket = undefined;
    }
    this.#reset();
    pending?.done(answer);
  }

  #reset(): void {
    this.#head = "";
    this.#bodyStart = [];
    this.#bodyStartBytes = 0;
    this.#bodyLeft = undefined;
  }
}
