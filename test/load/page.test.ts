import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Browser } from "playwright-core";
import { noChromium, openChromium } from "../parts/chromium.ts";
import { freePorts } from "../parts/ports.ts";
import { pythonOrSkip, startLoad } from "./command.ts";

const python = await pythonOrSkip();
const PATIENCE_MS = 90_000;

describe.skipIf(python === undefined || noChromium())("the page", { timeout: 2 * PATIENCE_MS }, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await openChromium();
  });
  afterAll(async () => browser.close());

  test("starts users and stops them, and the check follows each time", async () => {
    const [port = 0] = await freePorts(1);
    await using load = await startLoad("--web-port", String(port), "--users", "5", "--pause", "0.2");
    const said = async (text: string | RegExp): Promise<void> =>
      expect.poll(() => load.output(), { timeout: PATIENCE_MS }).toMatch(text);
    await said("Starting web interface");
    const page = await browser.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    const complaints: string[] = [];
    page.on("pageerror", (error) => complaints.push(error.message));
    const asked = new Set<string>();
    page.on("request", (request) => asked.add(new URL(request.url()).origin));
    const url = `http://127.0.0.1:${port}`;
    await page.goto(url);
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await page.getByRole("cell", { name: "event", exact: true }).waitFor();
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await said("verdict: good");
    const first = await load.report();

    await page.getByRole("button", { name: "New", exact: true }).click();
    await page.getByLabel("Ramp up").fill("5");
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await page.getByRole("cell", { name: "event", exact: true }).waitFor();
    load.interrupt();
    const exit = await load.exited;
    const second = await load.report();
    expect({ ...exit, first: first.acknowledged > 0 }).toEqual({ code: 0, signal: null, first: true });
    // The tally is of all tests since the command was started.
    expect(second.acknowledged).toBeGreaterThan(first.acknowledged);
    for (const { counted, acknowledged } of [...first.counted, ...second.counted]) {
      expect(counted).toBe(acknowledged);
    }
    expect(complaints).toEqual([]);
    expect([...asked]).toEqual([url]);
  });
});
