/** Draws docs/img/load-test.png: the page of `npm run load` on its usual port while users post to a standalone. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { openChromium } from "../test/parts/chromium.ts";

const PAGE = "http://127.0.0.1:8010";
const RUN_MS = 30_000;

const load = spawn(process.execPath, ["load/run.ts", "--shape", "mixed", "--users", "20", "--pause", "0.2"], {
  cwd: join(import.meta.dirname, ".."),
  stdio: ["ignore", "inherit", "pipe"],
});
const ended = once(load, "exit");
const ready = new Promise<void>((done, fail) => {
  load.once("exit", () => fail(new Error("the load test has ended")));
  load.stderr.setEncoding("utf8").on("data", (text: string) => {
    process.stderr.write(text);
    if (text.includes("Starting web interface")) done();
  });
});
try {
  await ready;
  await using browser = await openChromium();
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: "light" });
  const page = await context.newPage();
  page.setDefaultTimeout(2 * RUN_MS);
  await page.goto(PAGE);
  await page.getByLabel("Ramp up").fill("20");
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await page.getByRole("cell", { name: "Aggregated" }).waitFor();
  await page.waitForTimeout(RUN_MS);
  await page.screenshot({ path: join(import.meta.dirname, "img/load-test.png") });
  await page.getByRole("button", { name: "Stop", exact: true }).click();
} finally {
  load.kill("SIGTERM");
  await ended;
}
