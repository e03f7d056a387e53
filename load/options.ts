import { parseArgs } from "node:util";
import { portOf } from "../kind/options.ts";
import { PartMissing } from "../test/parts/part.ts";

export const shapes = ["event", "batch", "cloudevents", "burst", "mixed"] as const;
export type Shape = (typeof shapes)[number];

/** Where the events go. */
export type Where =
  | { readonly kind: "standalone" }
  | { readonly kind: "real" }
  | { readonly kind: "kind"; readonly cluster: string }
  | { readonly kind: "compose" }
  | { readonly kind: "url"; readonly collectorUrl: string; readonly queryUrl: string };

export interface LoadOptions {
  readonly where: Where;
  readonly shape: Shape;
  readonly headless: boolean;
  readonly webHost: string;
  readonly webPort: number;
  readonly users: number;
  /** Users that are started in a second. */
  readonly spawnRate: number;
  /** As Locust reads it, such as `1h30m`; undefined: until Ctrl-C, or until it is stopped on the page. */
  readonly time: string | undefined;
  readonly pauseSeconds: number;
  readonly batchEvents: number;
  readonly usernames: number;
  readonly metrics: number;
  /** The views are given up when nothing more comes to them for so long. */
  readonly patienceSeconds: number;
  /** The report is written to it, as JSON. */
  readonly report: string | undefined;
}

export const help = `npm run load -- [options]

Where to (one of these; without any, a standalone Millrace that is started for it):
  --real                     RabbitMQ, a MongoDB and a process for each role, three for each worker, all started for it
  --kind                     the cluster that npm run kind:up has made; --name <name> where it is not called millrace
  --compose                  what docker compose up has started, on 127.0.0.1:3000 and :3001
  --url <url>                any other collector, with --query-url <url>; both may be the same

How:
  --headless                 without a page: for --time, then the summary; without --time until Ctrl-C
  --web-host, --web-port     where the page is; 127.0.0.1 and 8010
  --users, -u                users at a time; 200
  --spawn-rate, -r           users that are started in a second; a tenth of them
  --time, -t                 how long, such as 30s, 5m or 1h30m
  --shape                    ${shapes.join(", ")}; event
  --pause                    mean pause of a user between two requests, in seconds; 0.5
  --batch-events             most events of a batch; 100
  --usernames, --metrics     how many different ones; 1000 and 20
  --patience                 seconds without anything new in the views after which they are given up; 60
  --report <file>            writes the report as JSON
`;

/** Undefined: help is asked for. Throws what is wrong with the words in a PartMissing or a TypeError of node's. */
export function readOptions(words: readonly string[]): LoadOptions | undefined {
  const { values } = parseArgs({
    args: [...words],
    options: {
      help: { type: "boolean", short: "h", default: false },
      real: { type: "boolean", default: false },
      kind: { type: "boolean", default: false },
      compose: { type: "boolean", default: false },
      url: { type: "string" },
      "query-url": { type: "string" },
      name: { type: "string" },
      headless: { type: "boolean", default: false },
      "web-host": { type: "string", default: "127.0.0.1" },
      "web-port": { type: "string", default: "8010" },
      users: { type: "string", short: "u", default: "200" },
      "spawn-rate": { type: "string", short: "r" },
      time: { type: "string", short: "t" },
      shape: { type: "string", default: "event" },
      pause: { type: "string", default: "0.5" },
      "batch-events": { type: "string", default: "100" },
      usernames: { type: "string", default: "1000" },
      metrics: { type: "string", default: "20" },
      patience: { type: "string", default: "60" },
      report: { type: "string" },
    },
  });
  if (values.help) return undefined;
  const shape = shapes.find((one) => one === values.shape);
  if (shape === undefined) throw wrong("shape", values.shape, `one of ${shapes.join(", ")}`);
  if (values.time !== undefined && !/^(\d+|(?=.)(\d+h)?(\d+m)?(\d+s)?)$/.test(values.time)) {
    throw wrong("time", values.time, "seconds, or such as 30s, 5m or 1h30m");
  }
  const users = whole("users", values.users, 100_000);
  return {
    where: whereOf(values),
    shape,
    headless: values.headless,
    webHost: values["web-host"],
    webPort: portOf(values["web-port"]),
    users,
    spawnRate:
      values["spawn-rate"] === undefined
        ? Math.max(1, Math.round(users / 10))
        : whole("spawn-rate", values["spawn-rate"], 100_000),
    time: values.time,
    pauseSeconds: seconds("pause", values.pause),
    batchEvents: whole("batch-events", values["batch-events"], 10_000),
    usernames: whole("usernames", values.usernames, 1_000_000),
    metrics: whole("metrics", values.metrics, 10_000),
    patienceSeconds: seconds("patience", values.patience),
    report: values.report,
  };
}

function whereOf(values: {
  readonly real: boolean;
  readonly kind: boolean;
  readonly compose: boolean;
  readonly url?: string;
  readonly "query-url"?: string;
  readonly name?: string;
}): Where {
  const { real, kind, compose, url, name } = values;
  const queryUrl = values["query-url"];
  const chosen = [real, kind, compose, url !== undefined].filter(Boolean).length;
  if (chosen > 1) throw new PartMissing("only one of --real, --kind, --compose and --url is possible");
  if (name !== undefined && !kind) throw new PartMissing("--name goes with --kind");
  if ((queryUrl === undefined) !== (url === undefined)) {
    throw new PartMissing("--url and --query-url go together");
  }
  if (url !== undefined && queryUrl !== undefined) {
    return { kind: "url", collectorUrl: base("url", url), queryUrl: base("query-url", queryUrl) };
  }
  if (real) return { kind: "real" };
  if (kind) return { kind: "kind", cluster: name ?? "millrace" };
  return { kind: compose ? "compose" : "standalone" };
}

/** Without the slash at its end. */
function base(option: string, text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol))
    throw wrong(option, text, "like http://127.0.0.1:3000");
  return url.href.replace(/\/+$/, "");
}

function whole(option: string, text: string, most: number): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= most) return number;
  throw wrong(option, text, `an integer from 1 to ${most}`);
}

function seconds(option: string, text: string): number {
  const number = Number(text);
  if (text !== "" && number >= 0 && number <= 3600) return number;
  throw wrong(option, text, "seconds, from 0 to 3600");
}

function wrong(option: string, given: string, allowed: string): PartMissing {
  return new PartMissing(`--${option} is ${JSON.stringify(given)}; it must be ${allowed}`);
}
