import { expect } from "vitest";
import type { Standalone } from "../flow/standalone.ts";
import { distinctNames, eventsIn, hourlyTotals } from "../flow/views.ts";

export type Headers = Readonly<Record<string, string>>;
export type Body = NonNullable<RequestInit["body"]>;

export interface Answer {
  readonly status: number;
  readonly headers: globalThis.Headers;
  readonly text: string;
  /** Of an answer that is JSON. */
  readonly body: Record<string, unknown>;
}

export async function send(
  method: string,
  url: string,
  options: { body?: Body; headers?: Headers } = {},
): Promise<Answer> {
  const answer = await fetch(url, { method, ...options });
  const text = await answer.text();
  const json = answer.headers.get("content-type")?.includes("json") === true && text !== "";
  return { status: answer.status, headers: answer.headers, text, body: json ? JSON.parse(text) : {} };
}

export const json = { "content-type": "application/json" };
export const ndjson = { "content-type": "application/x-ndjson" };
export const gzip = { "content-encoding": "gzip" };

/** POST to a collector: what is not text or bytes goes as JSON. */
export async function post(
  to: Standalone,
  path: string,
  body: unknown,
  headers: Headers = {},
): Promise<Answer> {
  const raw = typeof body === "string" || body instanceof Uint8Array;
  const sent = raw ? (body as Body) : JSON.stringify(body);
  return send("POST", `${to.collectorUrl}${path}`, { body: sent, headers: { ...json, ...headers } });
}

/** How many events of a metric the two views that count have; polled, since they follow the 200. */
export async function counted(by: Standalone, metric: string): Promise<readonly number[]> {
  const views = [await hourlyTotals(by.queryUrl), await distinctNames(by.queryUrl)];
  return views.map((rows) => eventsIn(rows.filter((row) => row.metric === metric)));
}
export async function expectCounted(by: Standalone, metric: string, events: number): Promise<void> {
  // A later event tells that those before it have been counted, but for messages that it has overtaken.
  const mark = `mark-${Math.random()}`;
  expect(await post(by, "/event", { username: "mark", metric: mark, count: 1 })).toMatchObject({
    status: 200,
  });
  await expect.poll(() => counted(by, mark), { timeout: 20_000 }).toEqual([1, 1]);
  await expect.poll(() => counted(by, metric), { timeout: 20_000 }).toEqual([events, events]);
}

export const event = (metric: string, more: object = {}) => ({ username: "u", metric, count: 1, ...more });

export const as = (type: string): Headers => ({ "content-type": type });

export function problem(code: string, status: number, title: string): object {
  const type = `https://millrace.io/errors#${code.toLowerCase().replaceAll("_", "-")}`;
  return { type, title, status, code };
}
