import { Agent as PlainAgent, type IncomingMessage, request as plainRequest } from "node:http";
import { Agent, request, type RequestOptions } from "node:https";
import { text } from "node:stream/consumers";
import type { ClusterError } from "../cluster.ts";
import type { Access } from "./access.ts";
import { type ApiStatus, refusalOf, unreachable } from "./faults.ts";
import { linesOf } from "./lines.ts";
import type { Emit } from "../../src/signals.ts";

/** The verbs of a Role: https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb */
export type Verb = "get" | "list" | "watch" | "create" | "update" | "patch";

export interface Question {
  readonly verb: Verb;
  /** Empty for the core group. */
  readonly group: string;
  /** In the plural, with its subresource: `deployments/scale`. */
  readonly resource: string;
  /** Undefined for all of them. */
  readonly namespace?: string | undefined;
  /** The one that is asked for, as a sentence has it: `Deployment worker`. */
  readonly object?: string;
  /** Begins with a slash. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: object;
  /** `application/json` by default. */
  readonly contentType?: string;
}

export interface Requests extends Disposable {
  /** Resolves to the body of the answer. Rejects with a ClusterError, within 10 seconds (30 for a list). */
  ask<T>(question: Question): Promise<T>;
  /** The lines of an answer without an end, decoded. Ends with the answer, or with `stop`; throws a ClusterError. */
  stream<T>(question: Question, stop: AbortSignal): AsyncIterable<T>;
}

const ANSWER_MS = 10_000;
const LIST_MS = 30_000;
/** A watch brings a bookmark each minute, also when nothing happens; without, it is taken to be dead. */
const SILENCE_MS = 90_000;
/** Silence of the network after which the kernel asks the other side whether it is still there. */
const PROBE_AFTER_MS = 15_000;

const methods = {
  get: "GET",
  list: "GET",
  watch: "GET",
  create: "POST",
  update: "PUT",
  patch: "PATCH",
} as const;

/** Each request is told of by `request.made`, with the HTTP status as its outcome; a watch once it has begun. */
export function openRequests(access: Access, emit: Emit): Requests {
  const secure = new Agent({ keepAlive: true });
  const plain = new PlainAgent({ keepAlive: true });

  /** Resolves once the answer begins; `deadline` ends whatever still goes on. */
  const begin = async (question: Question, deadline: AbortSignal): Promise<IncomingMessage> => {
    const url = new URL(`${access.server}${question.path}`);
    for (const [name, value] of Object.entries(question.query ?? {})) url.searchParams.set(name, value);
    const body = question.body === undefined ? undefined : JSON.stringify(question.body);
    const { headers, ...others } = await access.options();
    const options: RequestOptions = {
      ...others,
      method: methods[question.verb],
      signal: deadline,
      headers: {
        ...(headers as Readonly<Record<string, string>> | undefined),
        accept: "application/json",
        "user-agent": "millrace-operator",
        ...(body === undefined
          ? {}
          : {
              "content-type": question.contentType ?? "application/json",
              "content-length": Buffer.byteLength(body),
            }),
      },
    };
    return new Promise((resolve, reject) => {
      const outgoing =
        url.protocol === "http:"
          ? plainRequest(url, { agent: plain, ...options })
          : request(url, { agent: secure, ...options });
      outgoing.once("socket", (socket) => socket.setKeepAlive(true, PROBE_AFTER_MS));
      outgoing.once("response", resolve);
      outgoing.on("error", (error: NodeJS.ErrnoException) => {
        // The server may close a connection that is idle in the very moment that it is used again.
        const stale = outgoing.reusedSocket && /^(ECONNRESET|EPIPE)$/.test(error.code ?? "");
        reject(stale ? new Stale(error) : error);
      });
      outgoing.end(body);
    });
  };

  /** What every request of ours may be: each is safe to repeat, by its version or by its name. */
  const answered = async (question: Question, deadline: AbortSignal): Promise<IncomingMessage> => {
    const answer = await begin(question, deadline).catch(async (error: unknown) => {
      if (error instanceof Stale) return begin(question, deadline);
      throw error;
    });
    if (answer.statusCode !== 401) return answer;
    answer.resume();
    access.renew();
    return begin(question, deadline);
  };

  const exchange = async <T>(
    question: Question,
    deadline: AbortSignal,
    read: (answer: IncomingMessage) => Promise<T>,
  ): Promise<T> => {
    const begunMs = performance.now();
    let outcome = "none";
    try {
      const answer = await answered(question, deadline);
      const status = answer.statusCode ?? 0;
      outcome = String(status);
      if (status >= 300) throw refusalOf(question, status, statusOf(await text(answer)));
      return await read(answer);
    } catch (error) {
      throw tellable(error, deadline);
    } finally {
      const { verb, resource } = question;
      const seconds = (performance.now() - begunMs) / 1000;
      emit("request.made", { to: "kubernetes", verb, resource, outcome, seconds });
    }
  };

  return {
    ask: (question) =>
      exchange(
        question,
        AbortSignal.timeout(question.verb === "list" ? LIST_MS : ANSWER_MS),
        async (answer) => JSON.parse(await text(answer)),
      ),
    stream: async function* (question, stop) {
      const end = new AbortController();
      const giveUp = () => end.abort(new Error("there was no sign of life"));
      const leave = () => end.abort();
      let silence = setTimeout(giveUp, LIST_MS);
      stop.addEventListener("abort", leave);
      if (stop.aborted) leave();
      try {
        const answer = await exchange(question, end.signal, async (begun) => begun);
        for await (const line of linesOf(answer, () => {
          clearTimeout(silence);
          silence = setTimeout(giveUp, SILENCE_MS);
        })) {
          yield JSON.parse(line);
        }
      } catch (error) {
        if (!stop.aborted) throw tellable(error, end.signal);
      } finally {
        clearTimeout(silence);
        stop.removeEventListener("abort", leave);
        end.abort();
      }
    },
    [Symbol.dispose]() {
      secure.destroy();
      plain.destroy();
    },
  };
}

/** A connection that was no more when it was to be used again. */
class Stale extends Error {
  constructor(cause: Error) {
    super(cause.message, { cause });
  }
}

/** Where the deadline has ended it, that is why. */
function tellable(error: unknown, deadline: AbortSignal): ClusterError {
  if (!deadline.aborted) return unreachable(error);
  const reason: unknown = deadline.reason;
  const late = reason instanceof Error && reason.name === "TimeoutError";
  return unreachable(late ? new Error("it did not answer in time") : reason);
}

function statusOf(body: string): ApiStatus {
  try {
    return JSON.parse(body);
  } catch {
    return {};
  }
}
