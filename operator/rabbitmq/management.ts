import { Agent as PlainAgent, type IncomingMessage, request as plainRequest } from "node:http";
import { Agent, request } from "node:https";
import type { BrokerAddress } from "../broker-figures.ts";
import { FiguresError, unreachable } from "./fault.ts";
import type { Emit } from "../../src/signals.ts";

export interface Question {
  readonly verb: "get" | "list";
  readonly resource: "overview" | "queues" | "exchanges";
  /** Below `api/`, encoded, with its query. */
  readonly path: string;
}

/** `refused` is an answer 401 or 403, with RabbitMQ's own reason. */
export type Answer =
  | { readonly kind: "found"; readonly body: unknown }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "missing" };

export interface Management extends Disposable {
  /** Rejects with a FiguresError once `deadline` is aborted, or when the answer is none of these. */
  ask(question: Question, deadline: AbortSignal): Promise<Answer>;
}

/** A list of 400,000 queues has as many. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

export interface ManagementSettings {
  /** What `deadline` allows, to be told of in a fault. */
  readonly timeoutMs: number;
  readonly emit: Emit;
}

/** The management API of one broker, over a connection that is kept: https://www.rabbitmq.com/docs/http-api-reference */
export function openManagement(address: BrokerAddress, { timeoutMs, emit }: ManagementSettings): Management {
  const { url, username, password, ca } = address;
  const secure = url.startsWith("https:");
  const kept = { keepAlive: true, maxSockets: 1 };
  const agent = secure ? new Agent({ ...kept, ...(ca === undefined ? {} : { ca }) }) : new PlainAgent(kept);
  const headers = {
    accept: "application/json",
    authorization: `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`,
    "user-agent": "millrace-operator",
  };

  /** Resolves once the answer begins. */
  const begin = async (at: URL, signal: AbortSignal): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const outgoing = (secure ? request : plainRequest)(at, { agent, headers, signal });
      outgoing.once("response", resolve);
      outgoing.on("error", (error: NodeJS.ErrnoException) => {
        // The broker may close an idle connection in the very moment that it is used again.
        const stale = outgoing.reusedSocket && /^(ECONNRESET|EPIPE)$/.test(error.code ?? "");
        if (stale && !signal.aborted) begin(at, signal).then(resolve, reject);
        else reject(error);
      });
      outgoing.end();
    });

  return {
    async ask({ verb, resource, path }, deadline) {
      const begunMs = performance.now();
      let outcome = "none";
      try {
        const answer = await begin(new URL(`api/${path}`, url), deadline);
        outcome = String(answer.statusCode);
        return answerOf(url, answer.statusCode ?? 0, await textOf(url, answer));
      } catch (error) {
        if (error instanceof FiguresError) throw error;
        throw unreachable(url, deadline.aborted ? deadline.reason : error, timeoutMs);
      } finally {
        const seconds = (performance.now() - begunMs) / 1000;
        emit("request.made", { to: "rabbitmq", verb, resource, outcome, seconds });
      }
    },
    [Symbol.dispose]() {
      agent.destroy();
    },
  };
}

async function textOf(url: string, answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    // Leaving the loop closes the connection.
    if (bytes > MAX_ANSWER_BYTES) {
      throw notUnderstood(url, `answers with more than ${MAX_ANSWER_BYTES / 1024 / 1024} MiB`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function answerOf(url: string, status: number, text: string): Answer {
  if (status === 404) return { kind: "missing" };
  if (status === 401 || status === 403) return { kind: "refused", reason: reasonIn(text) };
  if (status >= 300 && status < 400) {
    throw notUnderstood(
      url,
      `answers ${status}: it redirects, and that is not followed; name the address itself`,
    );
  }
  if (status >= 500 || status === 429) {
    throw new FiguresError(
      "Unreachable",
      `the management API at ${url} answers ${status}: RabbitMQ's log says why`,
    );
  }
  if (status !== 200) throw notUnderstood(url, `answers ${status}: is that its address?`);
  const body = jsonIn(text);
  if (body === undefined)
    throw notUnderstood(url, "answers with what is not JSON: is RabbitMQ's management there?");
  return { kind: "found", body };
}

export function notUnderstood(url: string, what: string): FiguresError {
  return new FiguresError("NotUnderstood", `the management API at ${url} ${what}`);
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Such as "Not management user"; empty where it is not told. */
function reasonIn(text: string): string {
  const body = jsonIn(text);
  const reason = typeof body === "object" && body !== null && "reason" in body ? body.reason : "";
  return typeof reason === "string" ? reason.slice(0, 200) : "";
}
