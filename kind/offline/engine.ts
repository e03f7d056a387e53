import { spawn } from "node:child_process";
import { existsSync, openSync } from "node:fs";
import { chmod, copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cacheFolder } from "../../test/parts/cache.ts";
import { command } from "../../test/parts/command.ts";
import { note } from "../progress.ts";

const START_MS = 60_000;
/** A bit of CapBnd: see runc-shim. */
const CAP_SYS_RESOURCE = 1n << 24n;

const folder = (): string => join(cacheFolder(), "kind");
const ENGINE_PID_FILE = "/var/run/docker.pid";
const pidFile = (): string => join(folder(), "dockerd.pid");

/** Resolves once an engine answers that can run privileged containers. Starts one where none answers. */
export async function startEngine(): Promise<void> {
  if (await answers()) {
    await warnOfForeignEngine();
    return;
  }
  await installEngine();
  await mkdir(folder(), { recursive: true });
  const shim = join(folder(), "runc-shim");
  await copyFile(join(import.meta.dirname, "runc-shim"), shim);
  await chmod(shim, 0o755);
  // What an engine that was killed leaves behind keeps the next one from starting, where another process has its number.
  if (!(await isEngine(ENGINE_PID_FILE))) await rm(ENGINE_PID_FILE, { force: true });
  const log = join(folder(), "dockerd.log");
  const output = openSync(log, "a");
  const words = ["--add-runtime", `shim=${shim}`, "--default-runtime", "shim"];
  const child = spawn("dockerd", words, { detached: true, stdio: ["ignore", output, output] });
  child.unref();
  await writeFile(pidFile(), String(child.pid));
  for (const deadline = Date.now() + START_MS; !(await answers()); await sleep(250)) {
    if (Date.now() > deadline || child.exitCode !== null)
      throw new Error(`dockerd does not start: see ${log}`);
  }
  note(`started a Docker engine, its log is ${log}`);
}

/** Ends the engine that `startEngine` started, if it still runs. */
export async function stopEngine(): Promise<void> {
  if (await isEngine(pidFile())) {
    const pid = Number(await readFile(pidFile(), "utf8"));
    process.kill(pid, "SIGTERM");
    while (existsSync(`/proc/${pid}`)) await sleep(100);
  }
  await rm(pidFile(), { force: true });
}

/** Whether the process of that number is one; numbers are given anew. */
async function isEngine(file: string): Promise<boolean> {
  const pid = await readFile(file, "utf8").catch(() => "none");
  const name = await readFile(`/proc/${pid.trim()}/comm`, "utf8").catch(() => "");
  return name.trim() === "dockerd";
}

async function answers(): Promise<boolean> {
  return command("docker", ["version"]).then(
    () => true,
    () => false,
  );
}

async function installEngine(): Promise<void> {
  const missing = ["dockerd", "docker", "iptables"].filter(
    (program) =>
      !["/usr/bin", "/usr/sbin", "/usr/local/bin"].some((place) => existsSync(join(place, program))),
  );
  if (missing.length === 0) return;
  note(`installing ${missing.join(", ")} with apt`);
  const environment = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const options = ["-qq", "-o", "DPkg::Lock::Timeout=300"];
  await command("apt-get", [...options, "update"]);
  const install = [...options, "install", "--yes", "--no-install-recommends", "docker.io", "iptables"];
  await command("apt-get", install, { environment });
}

async function warnOfForeignEngine(): Promise<void> {
  const status = await readFile("/proc/self/status", "utf8");
  const held = BigInt(`0x${/^CapBnd:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0"}`);
  if ((held & CAP_SYS_RESOURCE) !== 0n) return;
  const runtime = await command("docker", ["info", "--format", "{{.DefaultRuntime}}"]);
  if (runtime.trim() !== "runc") return;
  note("this machine lacks CAP_SYS_RESOURCE, and the engine was not started by this program:");
  note("if its privileged containers fail, stop it, and this program starts one that knows what to do");
}
