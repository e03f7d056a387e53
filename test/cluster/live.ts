import type { Snapshot } from "../../src/console/snapshot.ts";

const PATIENCE_MS = 30_000;

/** The next snapshot of the console's own stream that is `wanted`. Rejects with the last where none is in half a minute. */
export async function snapshotWhere(url: string, wanted: (snapshot: Snapshot) => boolean): Promise<Snapshot> {
  const stop = new AbortController();
  const overdue = setTimeout(() => stop.abort(), PATIENCE_MS);
  let last: Snapshot | undefined;
  try {
    const headers = { accept: "text/event-stream" };
    const answer = await fetch(`${url}/console/live`, { headers, signal: stop.signal });
    if (!answer.ok || answer.body === null) throw new Error(`/console/live answers ${answer.status}`);
    for await (const snapshot of snapshotsIn(answer.body)) {
      last = snapshot;
      if (wanted(snapshot)) return snapshot;
    }
    throw new Error("/console/live ended");
  } catch (error) {
    throw new Error(`${String(error)}; the last snapshot: ${JSON.stringify(last)}`, { cause: error });
  } finally {
    clearTimeout(overdue);
    stop.abort();
  }
}

async function* snapshotsIn(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<Snapshot> {
  let rest = "";
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    const messages = (rest + text).split("\n\n");
    rest = messages.pop() ?? "";
    for (const message of messages) {
      if (!/^event: ?snapshot$/m.test(message)) continue;
      const data = Array.from(message.matchAll(/^data: ?(.*)$/gm), ([, line]) => line).join("\n");
      yield JSON.parse(data) as Snapshot;
    }
  }
}
