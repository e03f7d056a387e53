import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { childEnvironment } from "./standalone.ts";

const root = resolve(import.meta.dirname, "../..");
const run = promisify(execFile);

/** The commands of the README's first screen and what it says they print, in order; `npm ci` is what brought this test. */
async function firstScreen(): Promise<{ readonly command: string; readonly prints: string }[]> {
  const text = (await readFile(join(root, "README.md"), "utf8")).split("\n## ", 1)[0] ?? "";
  return Array.from(text.matchAll(/```console\n([\s\S]*?)```/g)).flatMap(([, block = ""]) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map((step) => {
        const [command = "", ...prints] = step.trim().split("\n");
        return { command: command.replace("npm ci && ", ""), prints: prints.join("\n").trim() };
      }),
  );
}

test("the README's first screen does what it says, on the ports it says", async () => {
  const [start, post, ask] = await firstScreen();
  const dataDir = await mkdtemp(join(tmpdir(), "millrace-readme-"));
  const environment = childEnvironment({ MILLRACE_DATA_DIR: dataDir });
  const system = spawn("sh", ["-c", start?.command ?? ""], { cwd: root, env: environment, detached: true });
  try {
    const ready = async () => (await fetch("http://localhost:9090/readyz")).status;
    await expect.poll(() => ready().catch(() => 0), { timeout: 20_000 }).toBe(200);
    const shell = async (command: string) =>
      (await run("sh", ["-c", command.replace("curl", "curl -sS")])).stdout;
    const answer = await shell(post?.command ?? "");
    for (const line of post?.prints.split("\n") ?? [""]) expect(answer).toContain(line);
    await expect.poll(() => shell(ask?.command ?? ""), { timeout: 2000, interval: 50 }).toBe(ask?.prints);
  } finally {
    const ended = new Promise((done) => system.once("exit", done));
    if (system.pid !== undefined) process.kill(-system.pid, "SIGTERM");
    await ended;
    await rm(dataDir, { recursive: true, force: true });
  }
});
