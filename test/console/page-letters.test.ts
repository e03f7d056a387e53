import { randomUUIDv7 } from "node:crypto";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openEmbeddedStore } from "../../src/adapters/embedded/store.ts";
import { encodeRows, rowsOf } from "../../src/domain/envelope.ts";
import { projectionNames } from "../../src/domain/projection.ts";
import { MillraceError } from "../../src/errors.ts";
import type { ChangeStore } from "../../src/ports/store.ts";
import { openBroker, rubbish, workOff } from "../commands/work-off.ts";
import { type Standalone, startStandalone } from "../flow/standalone.ts";
import { noChromium, openChromium } from "../parts/chromium.ts";
import { barriers, expectSound, openConsole, overhang, PATIENCE_MS, START_MS } from "./open-page.ts";

const HOSTILE = `<img src=x onerror="document.title='taken over'">`;

describe.skipIf(noChromium())("dead letters on the console's page", { timeout: 120_000 }, () => {
  let millrace: Standalone;
  let browser: Browser;
  beforeAll(async () => {
    [millrace, browser] = await Promise.all([startStandalone({ readyTimeoutMs: START_MS }), openChromium()]);
    await millrace.stop();
    {
      await using store = await openEmbeddedStore(millrace.dataDir);
      await using broker = openBroker(millrace.dataDir);
      // A store that is too old for the change: the cause that is gone by the next start.
      const refusing: ChangeStore = {
        claim: (claim, nowMs) => store.claim(claim, nowMs),
        erasures: () => store.erasures(),
        apply: () => Promise.reject(new MillraceError("CHANGE_REFUSED", "too wide")),
      };
      const atMs = Date.now() - 1000;
      const rows = rowsOf([{ username: "ann", metric: "reads", count: 5, atMs, id: "id:e1" }]);
      await workOff(broker, refusing, [encodeRows(randomUUIDv7(), [rows])], projectionNames);
      await workOff(broker, store, [rubbish("text/csv", HOSTILE)], ["hourlyLog"]);
    }
    await millrace.restart();
  }, 2 * START_MS);
  afterAll(async () => {
    await browser?.close();
    await millrace?.[Symbol.asyncDispose]();
  });

  test("are listed with their reason and body, and what is replayed is counted", async () => {
    await using opened = await openConsole(browser, millrace.queryUrl);
    const { page } = opened;
    const title = await page.title();
    const list = page.getByRole("region", { name: "Dead letters", exact: true }).last();
    const rows = list.locator("tbody tr");
    await page
      .locator("#worst")
      .getByText(/dead letter/)
      .waitFor();
    // The rubbish is taken from the two other queues by the standalone's own workers.
    await expect.poll(() => rows.count(), { timeout: PATIENCE_MS }).toBe(6);
    const queue = page.getByRole("combobox", { name: "Queue" });
    await queue.selectOption("hourlyLog");
    await expect.poll(() => rows.count(), { timeout: PATIENCE_MS }).toBe(2);
    const [refused, unreadable] = [
      rows.filter({ hasText: "too wide" }),
      rows.filter({ hasText: "text/csv" }),
    ];
    expect(await unreadable.innerText()).toMatch(
      /hourlyLog\s+MESSAGE_UNREADABLE: content type "text\/csv"\s+1\s+\d\d:\d\d:\d\d\s+text\/csv/,
    );
    expect(await refused.innerText()).toContain("CHANGE_REFUSED");
    await unreadable.locator("summary").click();
    expect(await unreadable.locator("pre").innerText()).toBe(HOSTILE);
    expect(await page.locator("img[src=x]").count()).toBe(0);
    expect(await page.title()).toBe(title);
    expect(await barriers(page)).toEqual([]);

    const replay = page.locator("#replay");
    expect(await replay.isDisabled()).toBe(true);
    await refused.getByRole("checkbox").check();
    await replay.click();
    const confirm = page.getByRole("dialog", { name: "Replay?" });
    expect(await confirm.innerText()).toContain("1 message will be put back into the queue.");
    expect(await barriers(page)).toEqual([]);
    await page.keyboard.press("Escape");
    expect(await rows.count()).toBe(2);
    await replay.click();
    await confirm.getByRole("button", { name: "Replay" }).click();
    await page.getByText("hourlyLog: 1 of 1 message replayed.").waitFor();
    await expect.poll(() => rows.count(), { timeout: PATIENCE_MS }).toBe(1);
    await page.locator("#totals").getByRole("cell", { name: "reads" }).waitFor();

    // What is still rubbish is a dead letter again, which the list shows by itself.
    await queue.selectOption("");
    await page.getByRole("checkbox", { name: "Select all that are listed" }).check();
    await replay.click();
    await confirm.getByRole("button", { name: "Replay" }).click();
    await page.getByText("accountName: 2 of 2 messages replayed.").waitFor();
    await page.getByText("hourlyLog: 1 of 1 message replayed.").waitFor();
    await expect.poll(() => rows.allInnerTexts(), { timeout: PATIENCE_MS }).toHaveLength(3);
    for (const row of await rows.allInnerTexts()) expect(row).toContain("MESSAGE_UNREADABLE");
    await expect
      .poll(() => page.locator("#worst").innerText(), { timeout: PATIENCE_MS })
      .toBe("accountName: 1 dead letter");
    await expectSound(opened, millrace.queryUrl);
  });

  test("fit a phone without a barrier", async () => {
    await using opened = await openConsole(browser, millrace.queryUrl, {
      viewport: { width: 360, height: 740 },
    });
    const { page } = opened;
    await page.locator("#letters summary").first().click();
    expect(await overhang(page)).toBe(0);
    expect(await barriers(page)).toEqual([]);
  });
});
