import { type ServerResponse, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { Server as TlsServer } from "node:tls";
import type { FastifyInstance } from "fastify";
import { MillraceError } from "../errors.ts";
import { noSniffing, problemContentType, problemOf } from "./problem.ts";

/** The response that is next on a socket. Node tells of it under this name alone. */
interface AnsweringSocket extends Socket {
  readonly _httpMessage?: ServerResponse | null;
}

/** What the HTTP parser refuses never becomes a request: the answer is written to the bare socket. */
export function answerBrokenRequest(error: Error & { code?: string }, socket: AnsweringSocket): void {
  // Others are of the connection itself, or of a TLS handshake: nobody is there to be answered.
  if (!/^(HPE|ERR_HTTP)_/.test(error.code ?? "") || !socket.writable) {
    socket.destroy();
    return;
  }
  const { _httpMessage: answering } = socket;
  // The requests before it were good, and their answers are due. One that is not complete is the broken one itself.
  if (answering?.req.complete === true) {
    answering.once("close", () => answerBrokenRequest(error, socket));
    return;
  }
  if (answering?.headersSent === true) {
    socket.end();
    return;
  }
  const timedOut = error.code === "ERR_HTTP_REQUEST_TIMEOUT";
  const problem = problemOf(new MillraceError(timedOut ? "BODY_TIMEOUT" : "MALFORMED_REQUEST"));
  const body = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\nconnection: close\r\n` +
      `content-type: ${problemContentType}\r\n${noSniffing.join(": ")}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

/**
 * When the server closes, ends each connection once nothing is in hand on it. Node's own close leaves those that were
 * busy at that moment, or that have not sent a whole request, to timeouts that it no longer watches.
 */
export function endOnClose(server: FastifyInstance): void {
  const open = new Set<Socket>();
  const shakingHands = new Map<string, Socket>();
  let closing = false;
  const add = (socket: Socket): void => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    if (closing) endWhenIdle(socket);
  };
  if (server.server instanceof TlsServer) {
    server.server.on("connection", (socket: Socket) => {
      const client = clientOf(socket);
      shakingHands.set(client, socket);
      socket.once("close", () => shakingHands.delete(client));
    });
    // A response is on the socket of the plain text.
    server.server.on("secureConnection", (socket) => {
      shakingHands.delete(clientOf(socket));
      add(socket);
    });
  } else {
    server.server.on("connection", add);
  }
  server.addHook("preClose", (done) => {
    closing = true;
    for (const socket of shakingHands.values()) socket.destroy();
    for (const socket of open) endWhenIdle(socket);
    done();
  });
}

const clientOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;

function endWhenIdle(socket: AnsweringSocket): void {
  const { _httpMessage: answering } = socket;
  if (answering === undefined || answering === null) {
    socket.destroySoon();
    return;
  }
  if (!answering.headersSent) answering.setHeader("connection", "close");
  answering.once("close", () => endWhenIdle(socket));
}
