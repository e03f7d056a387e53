import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { constants, gzip } from "node:zlib";
import type { InputEvent } from "./event-file.ts";

export interface PostSettings {
  /** Base address of the collector; events go to `events` below it. */
  readonly url: string;
  readonly writeKey: string | undefined;
  readonly gzip: boolean;
  /** Further tries after the first one. */
  readonly retries: number;
  /** Longest wait before the second try, in milliseconds; it doubles with each further one, up to 30 s. */
  readonly retryDelayMs: number;
  /** Longest time one try may take, in milliseconds. */
  readonly timeoutMs: number;
}

/** What the collector makes of one batch. */
export type Verdict =
  /** All taken but these; `index` counts within the batch. */
  | { readonly kind: "taken"; readonly rejected: readonly Rejection[] }
  /** Fewer events may pass. */
  | { readonly kind: "tooLarge"; readonly reason: string }
  /** None taken, and these never will be. */
  | { readonly kind: "refused"; readonly reason: string }
  /** Perhaps taken, perhaps not; the same ids may be sent again. */
  | { readonly kind: "later"; readonly reason: string; readonly afterMs: number | undefined }
  /** The answer to every other batch would be the same. */
  | { readonly kind: "hopeless"; readonly reason: string };
export interface Rejection {
  readonly index: number;
  readonly reason: string;
}

export interface PostSignals {
  /** Once aborted, a try under way is finished and no other is made. */
  readonly stop: AbortSignal;
  /** Once aborted, a try under way is cut short as well. */
  readonly halt: AbortSignal;
  onRetry(): void;
}

/** Longest wait between two tries, whatever Retry-After says, in milliseconds. */
const DELAY_MAX_MS = 60_000;
const BACKOFF_MAX_MS = 30_000;

const compress = promisify(gzip);

/** Posts one batch until the collector has judged it or the tries are used up ("later"). Never rejects. */
export async function postBatch(
  batch: readonly InputEvent[],
  settings: PostSettings,
  signals: PostSignals,
): Promise<Verdict> {
  const plain = Buffer.from(batch.map((event) => event.text).join("\n"));
  const body = settings.gzip ? await compress(plain, { level: constants.Z_BEST_SPEED }) : plain;
  for (let attempt = 1; ; attempt += 1) {
    const verdict = await tryOnce(body, batch.length, settings, signals.halt);
    if (verdict.kind !== "later") return verdict;
    if (attempt > settings.retries || signals.stop.aborted) return afterTries(verdict, attempt);
    try {
      await sleep(retryDelayMs(attempt, verdict.afterMs, settings.retryDelayMs), undefined, {
        signal: signals.stop,
      });
    } catch {
      return afterTries(verdict, attempt);
    }
    signals.onRetry();
  }
}

function afterTries(verdict: Verdict & { kind: "later" }, tries: number): Verdict {
  return { ...verdict, reason: `${verdict.reason} (${tries === 1 ? "1 try" : `${tries} tries`})` };
}

/** Full jitter, so that senders which failed together do not come back together; on top of what the collector asks for. */
function retryDelayMs(attempt: number, afterMs: number | undefined, firstMs: number): number {
  const longest = afterMs === undefined ? Math.min(BACKOFF_MAX_MS, firstMs * 2 ** (attempt - 1)) : firstMs;
  return Math.min(DELAY_MAX_MS, (afterMs ?? 0) + Math.random() * longest);
}

async function tryOnce(
  body: Buffer<ArrayBuffer>,
  size: number,
  settings: PostSettings,
  halt: AbortSignal,
): Promise<Verdict> {
  const timeout = AbortSignal.timeout(settings.timeoutMs);
  try {
    const answer = await fetch(eventsUrl(settings.url), {
      method: "POST",
      body,
      headers: headersFor(settings),
      redirect: "manual",
      signal: AbortSignal.any([timeout, halt]),
    });
    const retryAfter = answer.headers.get("retry-after");
    return judge({ status: answer.status, retryAfter, body: await answer.text() }, size, Date.now());
  } catch (error) {
    let reason = `no answer: ${causeOf(error)}`;
    if (timeout.aborted) reason = `no answer within ${settings.timeoutMs / 1000} s`;
    if (halt.aborted) reason = "given up when the sending was stopped";
    return { kind: "later", reason, afterMs: undefined };
  }
}

/** @throws Error when the address cannot be used; the message holds no part of it that may be secret. */
export function eventsUrl(base: string): URL {
  const url = URL.parse(base);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new Error("the address of the collector must be like http://127.0.0.1:3000");
  }
  if (url.username !== "" || url.password !== "") {
    throw new Error("the address of the collector must hold no username or password");
  }
  url.pathname = url.pathname.replace(/\/*$/, "/events");
  url.hash = "";
  return url;
}

function headersFor(settings: PostSettings): Record<string, string> {
  return {
    "content-type": "application/x-ndjson",
    accept: "application/json",
    "user-agent": "millrace-send",
    ...(settings.gzip ? { "content-encoding": "gzip" } : {}),
    ...(settings.writeKey === undefined ? {} : { authorization: `Bearer ${settings.writeKey}` }),
  };
}

export interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly body: string;
}

/** What an answer to a batch of `size` events says. */
export function judge(answer: Answer, size: number, nowMs: number): Verdict {
  const { status } = answer;
  const body = parse(answer.body);
  const reason = `the collector answers ${status}${described(body)}`;
  if (status === 408 || status === 429 || status >= 500) {
    return { kind: "later", reason, afterMs: waitMs(answer.retryAfter, nowMs) };
  }
  if (status === 413) return { kind: "tooLarge", reason };
  const rejected = rejections(body, size);
  if (rejected !== undefined && (status === 200 || status >= 400)) return { kind: "taken", rejected };
  if (status >= 200 && status < 300)
    return { kind: "hopeless", reason: "the answer is not one of a collector" };
  return { kind: status === 400 || status === 422 ? "refused" : "hopeless", reason };
}

/** Seconds or an HTTP date; undefined where there is neither. */
function waitMs(retryAfter: string | null, nowMs: number): number | undefined {
  if (retryAfter === null) return undefined;
  const text = retryAfter.trim();
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

/** The words of a problem details body (RFC 9457). */
function described(body: Readonly<Record<string, unknown>>): string {
  const words = [body["title"], body["detail"]].filter((word) => typeof word === "string" && word !== "");
  return words.length === 0 ? "" : `: ${words.join(": ")}`;
}

/** The events that were rejected; undefined where the body does not account for every event of the batch. */
function rejections(body: Readonly<Record<string, unknown>>, size: number): readonly Rejection[] | undefined {
  const { accepted, results } = body;
  if (typeof accepted !== "number" || !Array.isArray(results)) return undefined;
  const rejected = new Map<number, string>();
  for (const result of results as readonly unknown[]) {
    const { index, status, reason }: Record<string, unknown> = { ...(result as object | null) };
    if (status !== "rejected") continue;
    if (typeof index !== "number" || !Number.isInteger(index) || index < 0 || index >= size) return undefined;
    rejected.set(index, typeof reason === "string" ? reason : "the collector gives no reason");
  }
  if (accepted + rejected.size !== size) return undefined;
  return Array.from(rejected, ([index, reason]) => ({ index, reason }));
}

/** fetch hides why it failed in the cause. */
function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause instanceof Error) return causeOf(error.cause);
  if (error instanceof AggregateError) return error.errors.map(causeOf).join("; ");
  return error.message;
}
