import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { findCluster } from "../kind/cluster.ts";
import { PartMissing } from "../test/parts/part.ts";
import type { FromHost, ToHost } from "./host.ts";
import type { Where } from "./options.ts";
import { tell } from "./tell.ts";

/** What a run is sent to. */
export interface Target {
  readonly name: string;
  readonly collectorUrl: string;
  readonly queryUrl: string;
  /** Made for this run, so that nobody else has sent anything to it. */
  readonly fresh: boolean;
  /** What was started for the run and ended by itself meanwhile. */
  faults(): Promise<readonly string[]>;
  /** Stops what was started for the run. */
  stop(): Promise<void>;
  /** The same at once, without waiting. */
  kill(): void;
}

const ANSWER_MS = 15_000;

/** Rejects with PartMissing, and with what to do, where it cannot be had. */
export async function openTarget(where: Where): Promise<Target> {
  if (where.kind === "standalone" || where.kind === "real") return startTarget(where.kind);
  if (where.kind === "url") {
    const { collectorUrl, queryUrl } = where;
    return running(collectorUrl, { collectorUrl, queryUrl }, "is it the right address?");
  }
  if (where.kind === "compose") {
    const scale = ["account-name", "distinct-name", "hourly-log"]
      .map((name) => `--scale ${name}=3`)
      .join(" ");
    const hint = `start it: docker compose up --build --detach --wait ${scale}`;
    return running(
      "compose",
      { collectorUrl: "http://127.0.0.1:3000", queryUrl: "http://127.0.0.1:3001" },
      hint,
    );
  }
  const cluster = await findCluster(where.cluster);
  if (cluster === undefined) {
    throw new PartMissing(`there is no cluster ${where.cluster}: npm run kind:up makes one`);
  }
  const url = `http://127.0.0.1${cluster.httpPort === 80 ? "" : `:${cluster.httpPort}`}`;
  const hint = "npm run kind:status says what is amiss";
  return running(`kind (${where.cluster})`, { collectorUrl: url, queryUrl: url }, hint);
}

/** One that others have started, and that is left as it is. */
async function running(
  name: string,
  at: Pick<Target, "collectorUrl" | "queryUrl">,
  hint: string,
): Promise<Target> {
  const { collectorUrl, queryUrl } = at;
  // A collector answers 405 to this, and tells by it that it is one.
  await answers(`${collectorUrl}/event`, 405, "the collector", hint);
  await answers(`${queryUrl}/accounts?limit=1`, 200, "the query API", hint);
  const faults = async (): Promise<readonly string[]> => [];
  return { name, collectorUrl, queryUrl, fresh: false, faults, stop: async () => {}, kill: () => {} };
}

async function answers(url: string, status: number, who: string, hint: string): Promise<void> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS) }).catch((error: unknown) => {
    throw new PartMissing(`${who} does not answer at ${url}; ${hint}`, { cause: error });
  });
  await answer.body?.cancel();
  if (answer.status !== status) {
    throw new PartMissing(`${url} answers ${answer.status}, and not as ${who} does; ${hint}`);
  }
}

async function startTarget(which: "standalone" | "real"): Promise<Target> {
  tell(which === "real" ? "starting all on RabbitMQ and a MongoDB" : "starting a standalone Millrace");
  const host = fork(join(import.meta.dirname, "host.ts"), { detached: true, execArgv: [] });
  const gone = `what held ${which} has ended before its time`;
  const send = (message: ToHost): void => void host.send(message);
  const said = answersOf(host);
  send({ start: which });
  const { value: started } = await said.next();
  if (started === undefined || !("started" in started)) {
    const { message, missing } =
      started !== undefined && "failed" in started ? started.failed : { message: gone, missing: false };
    throw missing ? new PartMissing(message) : new Error(message);
  }
  return {
    name: which,
    ...started.started,
    fresh: true,
    async faults() {
      if (!host.connected) return [gone];
      send("faults");
      const { value: told } = await said.next();
      return told !== undefined && "faults" in told ? told.faults : [gone];
    },
    async stop() {
      if (!host.connected) return;
      const exited = once(host, "exit");
      send("stop");
      await exited;
    },
    // It ends all that it has started once it cannot reach this process any more.
    kill: () => host.connected && host.disconnect(),
  };
}

/** Ends when the process does. */
async function* answersOf(host: ChildProcess): AsyncGenerator<FromHost, undefined> {
  const waiting: FromHost[] = [];
  let wake = (): void => {};
  let ended = false;
  host.on("message", (message: FromHost) => {
    waiting.push(message);
    wake();
  });
  host.once("exit", () => {
    ended = true;
    wake();
  });
  for (;;) {
    const next = waiting.shift();
    if (next !== undefined) yield next;
    else if (ended) return undefined;
    else await new Promise<void>((done) => (wake = done));
  }
}
