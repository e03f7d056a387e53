import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { askBroker, askManagement, askStore } from "./ask.ts";
import { command, say } from "./command.ts";
import { OwnPart } from "./own.ts";
import { type BrokerPart, PartMissing, type StorePart } from "./part.ts";
import { freePorts } from "./ports.ts";
import { ADVANCED, testSettings } from "./rabbitmq.ts";

const BROKER_IMAGE = "rabbitmq:4-management";
const STORE_IMAGE = "mongo:8";

/** Undefined where a daemon answers. */
export async function whyNoDocker(): Promise<string | undefined> {
  return command("docker", ["version"]).then(
    () => undefined,
    () => "no Docker daemon answers",
  );
}

/** A server in a container, which is removed once this process ends or closes it, however that comes about. */
abstract class DockerPart extends OwnPart implements AsyncDisposable {
  protected readonly container: string;
  readonly #watchdog;

  constructor(container: string) {
    super();
    this.container = container;
    const watch = 'read -r _; docker rm --force --volumes "$1"';
    this.#watchdog = spawn("sh", ["-c", watch, "watchdog", container], {
      stdio: ["pipe", "ignore", "inherit"],
      detached: true,
    });
    this.#watchdog.unref();
  }

  get pids(): readonly number[] {
    if (!this.lives()) return [];
    const table = execFileSync("docker", ["top", this.container, "-eo", "pid"], { encoding: "utf8" });
    return table.trim().split("\n").slice(1).map(Number);
  }

  protected async end(): Promise<void> {
    if (this.lives()) await command("docker", ["kill", this.container]);
  }

  async stop(): Promise<void> {
    await command("docker", ["stop", "--time", "30", this.container]);
  }

  async pause(): Promise<void> {
    await command("docker", ["pause", this.container]);
  }

  async resume(): Promise<void> {
    await command("docker", ["unpause", this.container]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#watchdog.exitCode !== null) return;
    await this.kill();
    this.#watchdog.ref();
    const ended = once(this.#watchdog, "exit");
    this.#watchdog.stdin.end();
    await ended;
  }

  protected async launch(): Promise<void> {
    await command("docker", ["start", this.container]);
  }

  protected lives(): boolean {
    const words = ["inspect", "--format", "{{.State.Running}}", this.container];
    return execFileSync("docker", words, { encoding: "utf8" }).trim() === "true";
  }

  protected async output(): Promise<string> {
    return (await command("sh", ["-c", 'docker logs "$1" 2>&1', "logs", this.container])).slice(-8192);
  }
}

export class DockerBroker extends DockerPart implements BrokerPart {
  readonly url: string;
  readonly managementUrl: string;

  static async open(configuration: readonly string[]): Promise<DockerBroker> {
    const [amqp = 0, management = 0] = await freePorts(2);
    const publish = [`--publish=127.0.0.1:${amqp}:5672`, `--publish=127.0.0.1:${management}:15672`];
    // The data lies in a folder with the host's name: one that stays.
    const container = await create([...publish, "--hostname=millrace", BROKER_IMAGE]);
    const broker = new DockerBroker(container, amqp, management);
    const lines = [...testSettings, ...configuration].join("\n");
    await put(container, "/etc/rabbitmq/conf.d/90-millrace.conf", `${lines}\n`);
    await put(container, "/etc/rabbitmq/advanced.config", ADVANCED);
    return broker;
  }

  private constructor(container: string, amqp: number, management: number) {
    super(container);
    this.url = `amqp://guest:guest@127.0.0.1:${amqp}`;
    this.managementUrl = `http://guest:guest@127.0.0.1:${management}`;
  }

  async ctl(...words: string[]): Promise<string> {
    return command("docker", ["exec", this.container, "rabbitmqctl", "--quiet", ...words]);
  }

  protected async ask(): Promise<string> {
    await askManagement(this.managementUrl);
    return askBroker(this.url);
  }
}

/** A replica set of one member. */
export class DockerStore extends DockerPart implements StorePart {
  readonly url: string;
  readonly #port: number;

  static async open(): Promise<DockerStore> {
    const [port = 0] = await freePorts(1);
    // The same port inside and outside: the driver goes where the replica set says that its member is.
    const publish = `--publish=127.0.0.1:${port}:${port}`;
    const words = ["--replSet", "millrace", "--bind_ip_all", "--port", String(port)];
    return new DockerStore(await create([publish, STORE_IMAGE, ...words]), port);
  }

  private constructor(container: string, port: number) {
    super(container);
    this.#port = port;
    this.url = `mongodb://127.0.0.1:${port}/`;
  }

  protected async ask(): Promise<string> {
    const members = `[{ _id: 0, host: "127.0.0.1:${this.#port}" }]`;
    const initiate = `try { rs.status() } catch { rs.initiate({ _id: "millrace", members: ${members} }) }`;
    const words = ["mongosh", "--quiet", "--port", String(this.#port), "--eval", initiate];
    await command("docker", ["exec", this.container, ...words]);
    return askStore(this.url);
  }
}

/** Resolves with the container's id. Rejects with PartMissing when the image is not there and cannot be pulled. */
async function create(words: readonly string[]): Promise<string> {
  say(`making a container: ${words.join(" ")}`);
  const id = await command("docker", ["create", "--quiet", ...words]).catch((error: unknown) => {
    throw new PartMissing(`no container can be made: ${String(error)}`, { cause: error });
  });
  return id.trim();
}

/** Writes a file into a container that does not run yet. */
async function put(container: string, path: string, text: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-docker-"));
  try {
    const file = join(folder, "file");
    await writeFile(file, text, { mode: 0o644 });
    await command("docker", ["cp", file, `${container}:${path}`]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
