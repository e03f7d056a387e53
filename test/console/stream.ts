import type { DecisionLog, Snapshot } from "../../src/console/snapshot.ts";

interface Told {
  readonly history: readonly Snapshot[];
  readonly snapshot: Snapshot;
  readonly decisions: DecisionLog;
}
type EventName = keyof Told;

export interface Stream extends AsyncDisposable {
  readonly status: number;
  readonly headers: Headers;
  /** Everything that has arrived. */
  readonly text: string;
  /** Resolves when the server has ended it. */
  readonly ended: Promise<void>;
  /** The next event of that name, in their order; those that nobody asked for are kept. Rejects when the stream has ended. */
  next<K extends EventName>(name: K): Promise<Told[K]>;
}

/** Opens `/console/live` and reads it as it arrives. */
export async function openStream(url: string): Promise<Stream> {
  const closing = new AbortController();
  const response = await fetch(`${url}/console/live`, { signal: closing.signal });
  const unasked: { name: string; data: string }[] = [];
  let news = Promise.withResolvers<void>();
  let [text, rest, isOver] = ["", "", false];
  const read = async () => {
    for await (const part of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += part;
      const events = (rest + part).split("\n\n");
      rest = events.pop() ?? "";
      for (const event of events) {
        const [, name = "", data = ""] = /^event: (\w+)\ndata: (.*)$/.exec(event) ?? [];
        if (name !== "") unasked.push({ name, data });
      }
      news.resolve();
      news = Promise.withResolvers();
    }
  };
  const ended = read()
    .catch(() => {})
    .finally(() => {
      isOver = true;
      news.resolve();
    });
  return {
    status: response.status,
    headers: response.headers,
    get text() {
      return text;
    },
    ended,
    async next(name) {
      for (;;) {
        const at = unasked.findIndex((event) => event.name === name);
        const found = at < 0 ? undefined : unasked.splice(at, 1)[0];
        if (found !== undefined) return JSON.parse(found.data);
        if (isOver) throw new Error(`the stream ended without ${name}`);
        await news.promise;
      }
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      await ended;
    },
  };
}
