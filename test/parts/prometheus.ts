import { chmod, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { chroot, type Recipe } from "./chroot.ts";
import { ChrootPart } from "./chroot-part.ts";
import { freePorts } from "./ports.ts";
import { PartProcesses } from "./process.ts";

const recipe: Recipe = { name: "prometheus-trixie-1", suite: "trixie", packages: ["prometheus"] };

/** Unpacks Prometheus and promtool into the cache, unless they are there. Rejects with PartMissing. */
export async function obtainPrometheus(): Promise<string> {
  return chroot(recipe);
}

export interface ScrapeJob {
  readonly job: string;
  /** `host:port`, with the labels that its series get beside `job`; `instance` may be among them. */
  readonly targets: readonly {
    readonly address: string;
    readonly labels?: Readonly<Record<string, string>>;
  }[];
  /** Whether labels of the exposition go before those of the target. */
  readonly honorLabels?: boolean;
}

export interface PrometheusOptions {
  readonly jobs?: readonly ScrapeJob[];
  /** Texts of rule files. */
  readonly rules?: readonly string[];
  /** Between two scrapes of a target, and between two evaluations of a rule group that names none. Default 1. */
  readonly intervalSeconds?: number;
}

export type SeriesLabels = Readonly<Record<string, string>>;
/** A time in seconds since 1970 and the value as Prometheus writes it, such as "1.5", "NaN" or "+Inf". */
export type Point = readonly [time: number, value: string];
export interface Sample {
  readonly metric: SeriesLabels;
  readonly value: Point;
}
export interface Series {
  readonly metric: SeriesLabels;
  readonly values: readonly Point[];
}
export interface Target {
  readonly labels: SeriesLabels;
  readonly scrapeUrl: string;
  readonly health: "up" | "down" | "unknown";
  readonly lastError: string;
}
export interface RuleState {
  readonly name: string;
  readonly type: "alerting" | "recording";
  readonly query: string;
  readonly health: "ok" | "err" | "unknown";
  readonly lastError?: string;
  /** Of an alert. */
  readonly state?: "inactive" | "pending" | "firing";
  readonly alerts?: readonly {
    readonly labels: SeriesLabels;
    readonly annotations: SeriesLabels;
    readonly state: "pending" | "firing";
  }[];
}

/** Prometheus in a chroot, on a free port and a data folder of its own; started by `start`, which waits until it is ready. */
export class Prometheus extends ChrootPart {
  readonly url: string;
  readonly #port: number;
  readonly #options: PrometheusOptions;

  static async open(options: PrometheusOptions = {}): Promise<Prometheus> {
    const root = await obtainPrometheus();
    const [port = 0] = await freePorts(1);
    return new Prometheus(await PartProcesses.open(root, "prometheus"), port, options);
  }

  private constructor(processes: PartProcesses, port: number, options: PrometheusOptions) {
    super(processes);
    this.#port = port;
    this.#options = options;
    this.url = `http://127.0.0.1:${port}`;
  }

  /** The values at a time, by default now. Rejects with what Prometheus says of a wrong expression. */
  async query(expr: string, atS?: number): Promise<readonly Sample[]> {
    const { result, resultType } = await this.#get<Answer<Sample>>("query", {
      query: expr,
      ...(atS === undefined ? {} : { time: String(atS) }),
    });
    if (resultType === "scalar") return [{ metric: {}, value: result as unknown as Point }];
    return result;
  }

  async queryRange(expr: string, fromS: number, toS: number, stepS: number): Promise<readonly Series[]> {
    const range = { start: String(fromS), end: String(toS), step: String(stepS) };
    return (await this.#get<Answer<Series>>("query_range", { query: expr, ...range })).result;
  }

  async targets(): Promise<readonly Target[]> {
    return (await this.#get<{ activeTargets: readonly Target[] }>("targets")).activeTargets;
  }

  /** Every rule, in the order of the files. */
  async rules(): Promise<readonly RuleState[]> {
    const { groups } = await this.#get<{ groups: readonly { rules: readonly RuleState[] }[] }>("rules");
    return groups.flatMap(({ rules }) => rules);
  }

  protected async launch(): Promise<void> {
    const { folder, inside } = this.processes;
    await writeFiles(folder, {
      // JSON is YAML.
      "prometheus.yml": JSON.stringify(configurationOf(this.#options)),
      ...Object.fromEntries((this.#options.rules ?? []).map((text, at) => [ruleFileName(at), text])),
    });
    const words = [
      "prometheus",
      `--config.file=${inside}/prometheus.yml`,
      `--storage.tsdb.path=${inside}/data`,
      `--web.listen-address=127.0.0.1:${this.#port}`,
      "--log.level=warn",
    ];
    this.mains = [{ child: this.processes.spawn(words, environmentOf(inside)), signal: "SIGTERM" }];
  }

  protected async ask(): Promise<string> {
    const answer = await fetch(`${this.url}/-/ready`, { signal: AbortSignal.timeout(2000) });
    await answer.arrayBuffer();
    if (!answer.ok) throw new Error(`${this.url}/-/ready answers ${answer.status}`);
    const { version } = await this.#get<{ version: string }>("status/buildinfo");
    return `Prometheus ${version}`;
  }

  async #get<T>(path: string, parameters: Readonly<Record<string, string>> = {}): Promise<T> {
    const answer = await fetch(`${this.url}/api/v1/${path}?${new URLSearchParams(parameters).toString()}`, {
      signal: AbortSignal.timeout(20_000),
    });
    const body = (await answer.json()) as { data: T; error?: string };
    if (!answer.ok) throw new Error(`${path} ${JSON.stringify(parameters)}: ${body.error}`);
    return body.data;
  }
}

interface Answer<T> {
  readonly resultType: "vector" | "matrix" | "scalar" | "string";
  readonly result: readonly T[];
}

/** Opens one and starts it; disposal ends it and deletes its data. */
export async function startPrometheus(options: PrometheusOptions = {}): Promise<Prometheus> {
  const part = await Prometheus.open(options);
  try {
    await part.start();
    return part;
  } catch (error) {
    await part[Symbol.asyncDispose]();
    throw error;
  }
}

export interface PromtoolRun {
  /** Such as `["check", "rules", "rules.yaml"]`; it runs in a folder that has the files. */
  readonly words: readonly string[];
  /** Texts by name; a name may have folders. */
  readonly files?: Readonly<Record<string, string>>;
  readonly input?: string;
}
export interface PromtoolResult {
  readonly code: number;
  /** All that it wrote, on both of its streams. */
  readonly output: string;
}

/** Runs promtool to its end, whatever its exit code. */
export async function promtool({ words, files = {}, input = "" }: PromtoolRun): Promise<PromtoolResult> {
  await using processes = await PartProcesses.open(await obtainPrometheus(), "promtool");
  const { folder, inside } = processes;
  await writeFiles(folder, { ...files, [STDIN]: input });
  const shell = `cd "$1" && shift && { "$@" <${STDIN} 2>&1; printf '\\n%s' "$?"; }`;
  const all = ["sh", "-c", shell, "sh", inside, "promtool", ...words];
  const written = await processes.run(all, environmentOf(inside));
  const end = written.lastIndexOf("\n");
  return { code: Number(written.slice(end + 1)), output: written.slice(0, end) };
}

const STDIN = "standard-input";
const environmentOf = (home: string) => ({ HOME: home, PATH: "/usr/bin:/bin", LANG: "C.UTF-8" });

/** Readable by the part's user, which is another than this process's. */
async function writeFiles(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, name);
    await mkdir(dirname(path), { recursive: true, mode: 0o755 });
    await writeFile(path, text);
    await chmod(path, 0o644);
  }
}

const ruleFileName = (at: number): string => `rules-${at}.yml`;

function configurationOf({ jobs = [], rules = [], intervalSeconds = 1 }: PrometheusOptions): object {
  const interval = `${intervalSeconds}s`;
  return {
    global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
    rule_files: rules.map((_, at) => ruleFileName(at)),
    scrape_configs: jobs.map(({ job, targets, honorLabels = false }) => ({
      job_name: job,
      honor_labels: honorLabels,
      static_configs: targets.map(({ address, labels = {} }) => ({ targets: [address], labels })),
    })),
  };
}
