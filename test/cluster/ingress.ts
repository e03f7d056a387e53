import { randomInt } from "node:crypto";
import { request } from "node:http";
import { expect } from "vitest";
import { httpSender, type Send } from "../fault/post.ts";

/** What the ingress controller says for itself, where no pod answered: whether the event was taken is then unknown. */
const OWN_STATUS = new Set([502, 503, 504]);

/** Posts through the ingress. Millrace's own answers are JSON, or empty. */
export function ingressSender(url: string, connections: number): Send & Disposable {
  const sender = httpSender(url, connections);
  const send: Send = async (post) => {
    const answer = await sender(post);
    const own = answer !== undefined && OWN_STATUS.has(answer.status) && !answer.text.startsWith("{");
    return own ? undefined : answer;
  };
  return Object.assign(send, { [Symbol.dispose]: () => sender[Symbol.dispose]() });
}

/** An event to whoever answers to the name; resolves to its row of the query API there. */
export async function postedAndCounted(url: string, host: string): Promise<string> {
  const ask = async (path: string, body?: string): Promise<string> =>
    new Promise((done, fail) => {
      const headers = { host, ...(body === undefined ? {} : { "content-type": "application/json" }) };
      const outgoing = request(new URL(path, url), { method: body === undefined ? "GET" : "POST", headers });
      outgoing.once("error", fail);
      outgoing.once("response", (response) => {
        let text = "";
        response.on("data", (chunk: Buffer) => (text += chunk.toString()));
        response.once("end", () =>
          response.statusCode === 200 ? done(text) : fail(new Error(`${response.statusCode} ${text}`)),
        );
      });
      outgoing.end(body);
    });
  const username = `user-${randomInt(2 ** 31)}`;
  const event = JSON.stringify({ id: username, username, metric: "plain", count: 1 });
  await expect.poll(async () => ask("/event", event), { timeout: 60_000, interval: 500 }).toBe("");
  const row = async () => ask(`/metrics/hourly_logs/per_user?username=${username}`);
  await expect.poll(row, { timeout: 60_000, interval: 200 }).not.toBe("[]");
  return row();
}
