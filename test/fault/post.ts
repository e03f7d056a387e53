import { Agent, request } from "node:http";

export interface Post {
  readonly path: "/event" | "/events";
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** After this time the client hangs up, answered or not. */
  readonly hangUpAfterMs: number;
  /** One more at each try: where there are several collectors, the next try goes to another. */
  readonly turn: number;
}
export interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly text: string;
}
/** Resolves to undefined when there was no whole answer: the outcome is then unknown. */
export type Send = (post: Post) => Promise<Answer | undefined>;

/** Goes to each in turn, by the turn of the post. */
export function takingTurns(senders: readonly Send[]): Send {
  return async (post) => senders[post.turn % senders.length]?.(post);
}

/** A client of one collector with a pool of kept-alive connections. */
export function httpSender(collectorUrl: string, connections: number): Send & Disposable {
  const agent = new Agent({ keepAlive: true, maxSockets: connections, scheduling: "fifo" });
  const send: Send = (post) =>
    new Promise((done) => {
      const outgoing = request(new URL(post.path, collectorUrl), {
        agent,
        method: "POST",
        headers: { ...post.headers, "content-length": String(post.body.byteLength) },
      });
      const late = setTimeout(() => outgoing.destroy(), post.hangUpAfterMs);
      const end = (answer: Answer | undefined): void => {
        clearTimeout(late);
        done(answer);
      };
      outgoing.once("error", () => end(undefined));
      outgoing.once("response", (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.once("error", () => end(undefined));
        response.once("close", () => {
          if (!response.complete) return end(undefined);
          const text = Buffer.concat(chunks).toString();
          return end({ status: response.statusCode ?? 0, retryAfter: response.headers["retry-after"], text });
        });
      });
      outgoing.end(post.body);
    });
  return Object.assign(send, { [Symbol.dispose]: () => agent.destroy() });
}
