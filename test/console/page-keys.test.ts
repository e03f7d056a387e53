import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newWriteKey } from "../../src/commands/key.ts";
import { type Standalone, startStandalone } from "../flow/standalone.ts";
import { noChromium, openChromium } from "../parts/chromium.ts";
import { openConsole, PATIENCE_MS, START_MS } from "./open-page.ts";

describe.skipIf(noChromium())("where write keys are on, the console's page", { timeout: 120_000 }, () => {
  const { key, hash } = newWriteKey();
  let millrace: Standalone;
  let browser: Browser;
  beforeAll(async () => {
    const environment = { MILLRACE_WRITE_KEY_HASHES: hash };
    [millrace, browser] = await Promise.all([
      startStandalone({ environment, readyTimeoutMs: START_MS }),
      openChromium(),
    ]);
  }, 2 * START_MS);
  afterAll(async () => {
    await browser?.close();
    await millrace?.[Symbol.asyncDispose]();
  });

  test("asks for one, sends with it, and keeps it nowhere", async () => {
    await using opened = await openConsole(browser, millrace.queryUrl);
    const { page } = opened;
    await page.getByLabel("Username", { exact: true }).fill("ann");
    await page.getByLabel("Metric", { exact: true }).fill("reads");
    const send = page.getByRole("button", { name: "Send event" });
    await send.click();
    await page.getByRole("list", { name: "What became of the event" }).getByText("KEY_MISSING").waitFor();
    const input = page.getByLabel("Write key");
    expect(await input.getAttribute("type")).toBe("password");
    await input.fill(`${key}x`);
    await send.click();
    await page.getByText("KEY_REFUSED").waitFor();
    await input.fill(key);
    await send.click();
    await expect
      .poll(() => page.locator("#sent").innerText(), { timeout: PATIENCE_MS })
      .toContain("counted in every view");
    expect(page.url()).not.toContain(key);
    const kept = "JSON.stringify([localStorage, sessionStorage, document.cookie, history.state])";
    expect(await page.evaluate(kept)).not.toContain(key);
    await page.reload();
    await page.getByText("live", { exact: true }).waitFor();
    expect(await input.inputValue()).toBe("");
  });
});
