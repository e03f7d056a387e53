import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newKey } from "../../src/commands/key.ts";
import { encodeKeys } from "../../src/domain/key.ts";
import { type Standalone, startStandalone } from "../flow/standalone.ts";
import { noChromium, openChromium } from "../parts/chromium.ts";
import { barriers, openConsole, PATIENCE_MS, START_MS } from "./open-page.ts";

describe.skipIf(noChromium())("where write keys are on, the console's page", { timeout: 120_000 }, () => {
  const { key, hash } = newKey();
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
    const input = page.getByLabel("Key", { exact: true });
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

describe.skipIf(noChromium())(
  "where a file of keys is used, the console's page",
  { timeout: 120_000 },
  () => {
    const [reader, admin] = [newKey(), newKey()];
    const createdAt = "2026-11-30T12:00:00.000Z";
    let folder: string;
    let millrace: Standalone;
    let browser: Browser;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "millrace-keys-"));
      const file = join(folder, "keys.json");
      await writeFile(
        file,
        encodeKeys([
          { name: "reader", hash: reader.hash, access: ["read"], createdAt },
          { name: "admin", hash: admin.hash, access: ["write", "read", "admin"], createdAt },
        ]),
      );
      const environment = { MILLRACE_KEYS_FILE: file };
      [millrace, browser] = await Promise.all([
        startStandalone({ environment, readyTimeoutMs: START_MS }),
        openChromium(),
      ]);
    }, 2 * START_MS);
    afterAll(async () => {
      await browser?.close();
      await millrace?.[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    });

    test("shows figures for a key that may read, and dead letters for one that may do more", async () => {
      const context = await browser.newContext();
      const page = await context.newPage();
      page.setDefaultTimeout(PATIENCE_MS);
      await page.goto(millrace.queryUrl);
      await page.getByText("key needed", { exact: true }).waitFor();
      await page.locator("#letters").getByText("KEY_MISSING").waitFor();
      const input = page.getByLabel("Key", { exact: true });
      const use = page.getByRole("button", { name: "Use key" });

      await input.fill(reader.key);
      await use.click();
      await page.getByText("live", { exact: true }).waitFor();
      await page.locator("#totals").getByText("No events in the last hour").waitFor();
      await page.locator("#letters").getByText("admin is needed here").waitFor();

      await input.fill(admin.key);
      await use.click();
      await page.locator("#letters").getByText("No dead letters").waitFor();
      await page.getByLabel("Username", { exact: true }).fill("ann");
      await page.getByLabel("Metric", { exact: true }).fill("reads");
      await page.getByRole("button", { name: "Send event" }).click();
      await expect
        .poll(() => page.locator("#sent").innerText(), { timeout: PATIENCE_MS })
        .toContain("counted in every view");
      expect(await barriers(page)).toEqual([]);
      await context.close();
    });
  },
);
