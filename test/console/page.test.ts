import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Standalone, startStandalone } from "../flow/standalone.ts";
import { noChromium, openChromium } from "../parts/chromium.ts";
import { barriers, expectSound, openConsole, overhang, PATIENCE_MS, START_MS } from "./open-page.ts";

const run = promisify(execFile);
const HOSTILE = `<img src=x onerror="document.title='taken over'">`;

/** Of a figure as it is shown, such as "9.32 k". */
const numberOf = (shown: string): number => Number.parseFloat(shown) * (shown.endsWith("k") ? 1000 : 1);

describe.skipIf(noChromium())("the console's page", { timeout: 120_000 }, () => {
  let millrace: Standalone;
  let browser: Browser;
  beforeAll(async () => {
    [millrace, browser] = await Promise.all([startStandalone({ readyTimeoutMs: START_MS }), openChromium()]);
  }, 2 * START_MS);
  afterAll(async () => {
    await browser?.close();
    await millrace?.[Symbol.asyncDispose]();
  });

  async function post(events: readonly object[]): Promise<void> {
    const answer = await fetch(`${millrace.collectorUrl}/events`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(events),
    });
    expect(answer.status).toBe(200);
  }
  /** Events without a pause, until stopped. */
  function keepSending() {
    const ended = new AbortController();
    const users = Array.from({ length: 50 }, (_, at) => ({
      username: `load${at}`,
      metric: "load",
      count: at,
    }));
    const sent = (async () => {
      while (!ended.signal.aborted) await post(users);
    })();
    const stop = async (): Promise<void> => {
      ended.abort();
      await sent;
    };
    return { stop, [Symbol.asyncDispose]: stop };
  }
  const fill = async (page: Page, username: string, metric: string, count: string): Promise<void> => {
    await page.getByLabel("Username", { exact: true }).fill(username);
    await page.getByLabel("Metric", { exact: true }).fill(metric);
    await page.getByLabel("Count", { exact: true }).fill(count);
  };
  const stepsOf = (page: Page) => page.getByRole("list", { name: "What became of the event" });

  test("says what to do while there are no events, by a command that works", async () => {
    await using opened = await openConsole(browser, millrace.queryUrl);
    const command = opened.page.locator("#totals code");
    await command.waitFor();
    await run("sh", ["-c", (await command.innerText()).replace("curl", "curl -sS --fail-with-body")]);
    const counted = opened.page.getByRole("cell", { name: "reads" });
    await expect.poll(() => counted.count(), { timeout: PATIENCE_MS }).toBe(1);
    await expectSound(opened, millrace.queryUrl);
  });

  test("follows an event that its form sends into each view", async () => {
    await using opened = await openConsole(browser, millrace.queryUrl);
    const { page } = opened;
    await fill(page, "bob", "pages", "7");
    await page.getByRole("button", { name: "Send event" }).click();
    await expect
      .poll(() => stepsOf(page).getByRole("listitem").allInnerTexts(), { timeout: PATIENCE_MS })
      .toEqual([
        expect.stringMatching(/^accepted by the collector durable, \S+ m?s$/),
        expect.stringMatching(/^account name stored \S+ m?s; first seen \d\d:\d\d:\d\d$/),
        expect.stringMatching(/^distinct name counted \S+ m?s; 1 event of this metric today$/),
        expect.stringMatching(
          /^hourly log counted \S+ m?s; 1 event of this user and metric in the last hour$/,
        ),
      ]);
    expect(await page.locator("#sent").innerText()).toBe("The event is accepted and counted in every view.");
    const rows = await (await fetch(`${millrace.queryUrl}/metrics/hourly_logs/per_user?username=bob`)).json();
    expect(rows).toMatchObject([{ _id: { username: "bob", metric: "pages" }, count: 1, average: 7 }]);
    await expectSound(opened, millrace.queryUrl);
  });

  test("shows beside each field what the collector says is wrong with it, and counts nothing", async () => {
    await using opened = await openConsole(browser, millrace.queryUrl);
    const { page } = opened;
    await fill(page, "carol", "", "a few");
    await page.getByRole("button", { name: "Send event" }).click();
    await page.getByText("metric is empty;").first().waitFor();
    const [metric, count] = [
      page.getByLabel("Metric", { exact: true }),
      page.getByLabel("Count", { exact: true }),
    ];
    for (const field of [metric, count]) expect(await field.getAttribute("aria-invalid")).toBe("true");
    expect(await page.getByLabel("Username", { exact: true }).getAttribute("aria-invalid")).toBeNull();
    expect(await page.locator("#event-count-fault").innerText()).toContain(
      'count is "a few"; it must be an integer',
    );
    expect(await page.evaluate("document.activeElement.id")).toBe(await metric.getAttribute("id"));
    expect(await stepsOf(page).locator("> li").count()).toBe(1);
    expect(await barriers(page)).toEqual([]);
    expect((await fetch(`${millrace.queryUrl}/accounts/carol`)).status).toBe(404);
  });

  test("moves under load: figures, drawings and tables", async () => {
    await using opened = await openConsole(browser, millrace.queryUrl);
    const { page } = opened;
    const accepted = page.locator(".tile").filter({ hasText: "Accepted events/s" }).locator(".value");
    const drawing = () => page.evaluate<string>("document.querySelector('.chart canvas').toDataURL()");
    await expect.poll(() => accepted.innerText(), { timeout: PATIENCE_MS }).toBe("0");
    const still = await drawing();
    await using load = keepSending();
    await expect
      .poll(async () => numberOf(await accepted.innerText()), { timeout: PATIENCE_MS })
      .toBeGreaterThan(50);
    await expect.poll(drawing, { timeout: PATIENCE_MS }).not.toBe(still);
    await page.getByRole("button", { name: "Table: Accepted events per second" }).click();
    const table = page.getByRole("region", { name: "Table: Accepted events per second" });
    const ofAccepted = async () => (await table.locator("td:nth-child(2)").allInnerTexts()).map(numberOf);
    await expect
      .poll(async () => Math.max(...(await ofAccepted())), { timeout: PATIENCE_MS })
      .toBeGreaterThan(50);
    expect(await page.locator(".chart canvas").first().isVisible()).toBe(false);
    await page.getByRole("img", { name: /^Oldest wait and objective: .*objective now 30 s/ }).waitFor();
    await page.getByRole("cell", { name: "load", exact: true }).waitFor();
    await load.stop();
    await expectSound(opened, millrace.queryUrl);
  });

  test("tells a screen reader nothing while nothing but figures changes", async () => {
    await using opened = await openConsole(browser, millrace.queryUrl);
    const { page } = opened;
    await page.locator("#worst", { hasText: "All is well:" }).waitFor();
    await page.evaluate(`
      globalThis.spoken = [];
      globalThis.ticks = 0;
      const watch = (node, take) => new MutationObserver(take)
        .observe(node, { childList: true, characterData: true, subtree: true, attributes: false });
      for (const node of document.querySelectorAll("[role=status], [role=alert], [aria-live]"))
        watch(node, () => spoken.push(node.id));
      watch(document.getElementById("tiles"), () => (ticks += 1));`);
    let sent = 0;
    await expect
      .poll(
        async () => {
          sent += 1;
          await post(Array.from({ length: sent }, () => ({ username: "bob", metric: "pages", count: 1 })));
          return page.evaluate<number>("ticks");
        },
        { timeout: PATIENCE_MS },
      )
      .toBeGreaterThan(3);
    expect(await page.evaluate("spoken")).toEqual([]);
  });

  test("searches the last hour by user and by metric, page by page", async () => {
    await post([
      ...["dora", "emil"].flatMap((username) =>
        ["sales", "views"].map((metric) => ({ username, metric, count: 3 })),
      ),
      ...Array.from({ length: 60 }, (_, at) => ({ username: `many${at}`, metric: "crowd", count: at })),
    ]);
    await using opened = await openConsole(browser, millrace.queryUrl);
    const { page } = opened;
    const found = page.getByRole("region", { name: "The last hour by user and metric" });
    const names = async () =>
      (await found.locator("tbody tr").allInnerTexts()).map((row) => row.split("\t").slice(0, 2).join(" "));
    const search = async (user: string, metric: string): Promise<void> => {
      await page.getByLabel("User", { exact: true }).fill(user);
      await page.getByLabel("Metric of the hour").fill(metric);
      await page.getByRole("button", { name: "Search" }).click();
    };
    await search("dora", "");
    await expect.poll(names, { timeout: PATIENCE_MS }).toEqual(["dora sales", "dora views"]);
    await search("", "sales");
    await expect.poll(names, { timeout: PATIENCE_MS }).toEqual(["dora sales", "emil sales"]);
    await search("emil", "views");
    await expect.poll(names, { timeout: PATIENCE_MS }).toEqual(["emil views"]);
    await search("nobody", "");
    await page.getByText("Nothing of it in the last hour.").waitFor();
    await search("", "crowd");
    await expect.poll(async () => (await names()).length, { timeout: PATIENCE_MS }).toBe(50);
    await page.getByRole("button", { name: "Next rows" }).click();
    await expect.poll(async () => (await names()).length, { timeout: PATIENCE_MS }).toBe(10);
    await expectSound(opened, millrace.queryUrl);
  });

  test("tells when an account was first seen, and where there is none", async () => {
    await post([{ username: "fran", metric: "logins", count: 1 }]);
    await using opened = await openConsole(browser, millrace.queryUrl);
    const { page } = opened;
    const lookUp = async (username: string): Promise<void> => {
      await page.getByLabel("Username of the account").fill(username);
      await page.getByRole("button", { name: "Look up" }).click();
    };
    await lookUp("fran");
    const shown = page.locator("#found-account");
    await expect
      .poll(() => shown.innerText(), { timeout: PATIENCE_MS })
      .toMatch(/^fran was first seen \d\d:\d\d:\d\d\.$/);
    expect(await shown.locator("time").getAttribute("title")).toMatch(
      /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC$/,
    );
    await lookUp("nobody at all");
    await expect
      .poll(() => shown.innerText(), { timeout: PATIENCE_MS })
      .toBe("No event of nobody at all is known.");
  });

  test("counts events by day and by month, of one metric or of all", async () => {
    await post([
      ...Array.from({ length: 4 }, (_, at) => ({ username: "gus", metric: "steps", count: at })),
      { username: "gus", metric: "stairs", count: 1 },
    ]);
    await using opened = await openConsole(browser, millrace.queryUrl);
    const { page } = opened;
    const section = page.getByRole("region", { name: "Events per day", exact: true });
    await section.getByRole("combobox", { name: "Of" }).selectOption("steps");
    await section.getByRole("button", { name: /^Table/ }).click();
    const rows = section.locator("tbody tr");
    const today = new Date().toISOString().slice(0, 10);
    await expect.poll(() => rows.allInnerTexts(), { timeout: PATIENCE_MS }).toEqual([`${today}\t4`]);
    await section.getByRole("combobox", { name: "Of" }).selectOption("all metrics");
    await expect
      .poll(async () => Number((await rows.first().innerText()).split("\t")[1]?.replace(",", "")))
      .toBeGreaterThan(4);
    await section.getByRole("combobox", { name: "By" }).selectOption("month");
    await expect
      .poll(() => rows.first().innerText(), { timeout: PATIENCE_MS })
      .toMatch(new RegExp(`^${today.slice(0, 7)}\t`));
    await expectSound(opened, millrace.queryUrl);
  });

  test("is used by keyboard alone", async () => {
    await using opened = await openConsole(browser, millrace.queryUrl);
    const { page } = opened;
    const focused = () =>
      page.evaluate<string>(
        `{ const { activeElement: at } = document;
          at.getAttribute("aria-label") ?? (at.labels?.[0] ?? at).textContent.trim().split("\\n")[0] }`,
      );
    const tabTo = async (name: string): Promise<void> => {
      for (let presses = 0; presses < 60; presses += 1) {
        await page.keyboard.press("Tab");
        if ((await focused()) === name) return;
      }
      throw new Error(`${name} is not reached; the focus is at ${await focused()}`);
    };
    await page.keyboard.press("Tab");
    expect(await focused()).toBe("Skip to the figures");
    await page.keyboard.press("Enter");
    await tabTo("Table: Accepted events per second");
    await page.keyboard.press("Space");
    await page.getByRole("region", { name: "Table: Accepted events per second" }).waitFor();
    await page.keyboard.press("Space");
    await tabTo("Username");
    expect(await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")).toBe("solid");
    await page.keyboard.type("hans");
    await tabTo("Metric");
    await page.keyboard.type("keys");
    await tabTo("Count");
    await page.keyboard.press("Control+A");
    await page.keyboard.type("12");
    await page.keyboard.press("Enter");
    await page.getByText("hourly log counted").waitFor();
    await expect
      .poll(() => page.locator("#sent").innerText(), { timeout: PATIENCE_MS })
      .toContain("counted in every view");
    await tabTo("User");
    await page.keyboard.type("hans");
    await page.keyboard.press("Enter");
    await page.getByRole("region", { name: "The last hour by user and metric" }).getByText("keys").waitFor();
    // All the way round, so that nothing holds the focus for itself.
    await tabTo("Skip to the figures");
  });

  test("takes the system's colours until others are chosen, and keeps the choice", async () => {
    await using opened = await openConsole(browser, millrace.queryUrl, { colorScheme: "dark" });
    const { page } = opened;
    const ground = () => page.evaluate<string>("getComputedStyle(document.body).backgroundColor");
    const dark = await ground();
    await page.emulateMedia({ colorScheme: "light" });
    await expect.poll(ground).not.toBe(dark);
    await page.getByLabel("Theme").selectOption("dark");
    expect(await ground()).toBe(dark);
    await page.reload();
    await page.getByText("live", { exact: true }).waitFor();
    expect(await ground()).toBe(dark);
    expect(await page.evaluate("Object.entries(localStorage)")).toEqual([["millrace.theme", "dark"]]);
    await expectSound(opened, millrace.queryUrl);
  });

  test("shows names that are markup as the text that they are", async () => {
    await using opened = await openConsole(browser, millrace.queryUrl);
    const { page } = opened;
    const title = await page.title();
    const metric = `${HOSTILE}{{metric}}`;
    await fill(page, HOSTILE, metric, "1");
    await page.getByRole("button", { name: "Send event" }).click();
    await expect
      .poll(() => page.locator("#sent").innerText(), { timeout: PATIENCE_MS })
      .toContain("counted in every view");
    await page.getByRole("cell", { name: metric, exact: true }).first().waitFor();
    await page.getByLabel("User", { exact: true }).fill(HOSTILE);
    await page.getByRole("button", { name: "Search" }).click();
    await page.locator("#found").getByRole("cell", { name: HOSTILE, exact: true }).waitFor();
    await page.getByLabel("Username of the account").fill(HOSTILE);
    await page.getByRole("button", { name: "Look up" }).click();
    await page.locator("#found-account").getByText(`${HOSTILE} was first seen`).waitFor();
    expect(await page.locator("img[src=x]").count()).toBe(0);
    expect(await page.title()).toBe(title);
    await expectSound(opened, millrace.queryUrl);
  });

  test.for([
    ["in light colours", { colorScheme: "light" }],
    ["in dark colours", { colorScheme: "dark" }],
    ["on a phone", { colorScheme: "light", viewport: { width: 360, height: 740 } }],
    ["on a phone, dark", { colorScheme: "dark", viewport: { width: 360, height: 740 } }],
  ] as const)("has no barrier that axe finds, and fits its window, %s", async ([, options]) => {
    const long = "n".repeat(256);
    await post([{ username: long, metric: long, count: Number.MAX_SAFE_INTEGER }]);
    await using opened = await openConsole(browser, millrace.queryUrl, options);
    const { page } = opened;
    await page.locator("#totals").getByText(long).waitFor();
    await fill(page, long, "pages", "7");
    await page.getByRole("button", { name: "Send event" }).click();
    await expect
      .poll(() => page.locator("#sent").innerText(), { timeout: PATIENCE_MS })
      .toContain("counted in every view");
    await page.getByRole("button", { name: "Search" }).click();
    await page.locator("#found").getByRole("row").nth(1).waitFor();
    for (const button of await page.getByRole("button", { name: /^Table: (Oldest|Events)/ }).all())
      await button.click();
    expect(await overhang(page)).toBe(0);
    expect(await barriers(page)).toEqual([]);
    await expectSound(opened, millrace.queryUrl);
  });

  test("tells when the connection is lost and since when the figures are old, and comes back by itself", async () => {
    await using opened = await openConsole(browser, millrace.queryUrl);
    const { page } = opened;
    await millrace.stop();
    const connection = page.locator("#connection");
    await expect
      .poll(() => connection.innerText(), { timeout: PATIENCE_MS, interval: 50 })
      .toBe("reconnecting");
    await expect
      .poll(() => connection.innerText(), { timeout: PATIENCE_MS })
      .toMatch(/^stale since \d\d:\d\d:\d\d$/);
    expect(await page.locator("#worst").innerText()).toMatch(
      /^No figures come in: those below are of \d\d:\d\d:\d\d\.$/,
    );
    expect(await barriers(page)).toEqual([]);
    await millrace.restart();
    await expect.poll(() => connection.innerText(), { timeout: PATIENCE_MS }).toBe("live");
  });
});
