import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { chown, mkdir, mkdtemp, readFile } from "node:fs/promises";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { mayMount } from "./chroot.ts";
import { command } from "./command.ts";
import { holdPort, portOf } from "./ports.ts";

/** Where the data folder of a part is, as seen in its chroot. */
const INSIDE = "/srv/part";
const KILL_MS = 10_000;

/**
 * The processes of one part, in a chroot, with a data folder of its own. They run as a user that nobody else is, so
 * that a signal reaches all of them and no other, whatever they have forked and from whomever they have cut loose. A
 * watchdog kills them and removes the folder once this process ends or closes this, however that comes about.
 */
export class PartProcesses implements AsyncDisposable {
  /** The data folder, as this process sees it and as the part sees it. */
  readonly folder: string;
  readonly inside: string;
  readonly #root: string;
  readonly #mounts: boolean;
  /** Open for as long as this lives, so that no other part has the port, which is the number of the user. */
  readonly #held: Server;
  readonly #user: number;
  readonly #watchdog: ChildProcess;
  /** Those that this process has started and that run: for their first moments, they are not the user's yet. */
  readonly #children = new Set<ChildProcess>();

  static async open(root: string, name: string): Promise<PartProcesses> {
    const held = await holdUser();
    const mounts = await mayMount();
    await mkdir(join(root, INSIDE), { recursive: true });
    // Where it cannot be mounted into the chroot, it is in there from the first.
    const folder = await mkdtemp(join(mounts ? tmpdir() : join(root, "srv"), `millrace-${name}-`));
    await chown(folder, portOf(held), portOf(held));
    return new PartProcesses(root, folder, held, mounts);
  }

  private constructor(root: string, folder: string, held: Server, mounts: boolean) {
    this.folder = folder;
    this.inside = mounts ? INSIDE : folder.slice(root.length);
    this.#root = root;
    this.#mounts = mounts;
    this.#held = held;
    this.#user = portOf(held);
    this.#watchdog = spawn("sh", ["-c", WATCHDOG, "watchdog", String(this.#user), folder], {
      stdio: ["pipe", "ignore", "inherit"],
      // Out of the reach of a Ctrl-C, which is for this process.
      detached: true,
    });
    this.#watchdog.unref();
  }

  /** Those that run, zombies left out. */
  get pids(): readonly number[] {
    return pidsOf(this.#user);
  }

  /** Starts a program that is looked up in the chroot. What it writes is added to `output` in the data folder. */
  spawn(words: readonly string[], environment: Readonly<Record<string, string>>): ChildProcess {
    const [program = "", ...rest] = this.#enter(words, environment);
    const output = openSync(join(this.folder, "output"), "a");
    const child = spawn(program, rest, { stdio: ["ignore", output, output], detached: true });
    closeSync(output);
    child.unref();
    this.#children.add(child);
    child.once("exit", () => this.#children.delete(child));
    return child;
  }

  /** Runs a program to its end, as the part's user in the chroot, and resolves with its standard output. */
  async run(words: readonly string[], environment: Readonly<Record<string, string>>): Promise<string> {
    const [program = "", ...rest] = this.#enter(words, environment);
    return command(program, rest);
  }

  /** Copies a folder into the data folder under this name and makes it the part's own. */
  async adopt(from: string, name: string): Promise<void> {
    const place = join(this.folder, name);
    await command("cp", ["-a", "--reflink=auto", from, place]);
    await command("chown", ["-R", `${this.#user}:${this.#user}`, place]);
  }

  /** The end of what its programs have written. */
  async output(): Promise<string> {
    return (await readFile(join(this.folder, "output"), "utf8").catch(() => "")).slice(-8192);
  }

  async kill(): Promise<void> {
    const deadline = Date.now() + KILL_MS;
    for (;;) {
      for (const child of this.#children) child.kill("SIGKILL");
      await this.#signal("KILL");
      for (let look = 0; look < 10; look += 1) {
        if (this.#children.size === 0 && this.pids.length === 0) return;
        await sleep(10);
      }
      if (Date.now() > deadline) throw new Error(`SIGKILL does not end ${this.pids.join(", ")}`);
    }
  }

  async pause(): Promise<void> {
    await this.#signal("STOP");
  }

  async resume(): Promise<void> {
    await this.#signal("CONT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#watchdog.exitCode === null) {
      await this.kill();
      this.#watchdog.ref();
      const ended = once(this.#watchdog, "exit");
      this.#watchdog.stdin?.end();
      await ended;
    }
    this.#held.close();
  }

  async #signal(name: "KILL" | "STOP" | "CONT"): Promise<void> {
    // It fails where there is nobody to signal.
    await command("sh", ["-c", `${asUser('"$1"')} 'kill -${name} -1' || true`, "signal", String(this.#user)]);
  }

  #enter(words: readonly string[], environment: Readonly<Record<string, string>>): readonly string[] {
    const user = this.#user;
    const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
    const enter = [
      "chroot",
      `--userspec=+${user}:+${user}`,
      "--groups=",
      this.#root,
      "env",
      "-i",
      ...variables,
    ];
    if (!this.#mounts) return [...enter, ...words];
    const mount = 'mount --bind "$1" "$2" && shift 2 && exec "$@"';
    const own = [
      "unshare",
      "--mount",
      "--ipc",
      "sh",
      "-c",
      mount,
      "mount",
      this.folder,
      join(this.#root, INSIDE),
    ];
    return [...own, ...enter, ...words];
  }
}

/** The shell words that run a line of shell as a user. To that user, the process -1 means all of its own. */
function asUser(user: string): string {
  return `setpriv --reuid=${user} --regid=${user} --clear-groups sh -c`;
}

/** Reads until the pipe from this process is closed; the kernel does that for a process that was killed. */
const WATCHDOG = `
read -r _
for attempt in 1 2 3 4 5; do
  ${asUser('"$1"')} 'kill -KILL -1' 2>/dev/null
  rm -rf -- "$2" && exit
  sleep 0.2
done
`;

async function holdUser(): Promise<Server> {
  for (;;) {
    const held = await holdPort();
    if (pidsOf(portOf(held)).length === 0) return held;
    held.close();
  }
}

function pidsOf(user: number): readonly number[] {
  const mark = new RegExp(`^Uid:\\t${user}\\t`, "m");
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      const status = statusOf(pid);
      return mark.test(status) && !isDead(status);
    })
    .map(Number);
}

/** A zombie whose other threads have not ended yet still has its files and ports open. */
function isDead(status: string): boolean {
  return /^State:\t[ZX]/m.test(status) && /^Threads:\t[01]$/m.test(status);
}

/** Empty for a process that has ended meanwhile. */
function statusOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return "";
  }
}
