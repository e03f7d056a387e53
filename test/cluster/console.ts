import type { Browser, Locator, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Ledger, Posted } from "../fault/ledger.ts";
import { openChromium } from "../parts/chromium.ts";
import { adminAddresses, differences } from "./admin-ports.ts";
import { ingressSender } from "./ingress.ts";
import { snapshotWhere } from "./live.ts";
import { statusOf, workerOf } from "./queue-scalers.ts";
import type { Working } from "./scaling.ts";
import { SteadyClient } from "./steady.ts";

/** So few that one worker of each kind is enough. */
const EVENTS_PER_SECOND = 20;
const WORKERS = ["account-name", "distinct-name", "hourly-log"].map(workerOf);
const poll = { timeout: 60_000, interval: 500 };
const timeout = 180_000;

/** One that the form can send: it has no timestamp. How often any of them was counted, the ledger is not to say: no client posts them. */
function eventOfTheForm(ledger: Ledger): Posted {
  const event = ledger.create("sure");
  event.state = "unknown";
  return event.atMs === undefined ? event : eventOfTheForm(ledger);
}

/** The tests of the live page, in a browser, by the way that everybody comes. */
export function consoleTests(working: () => Working): void {
  let browser: Browser;
  let page: Page;
  /** What a page that is well leaves undone. */
  const complaints: string[] = [];
  const tile = (name: string): Locator =>
    page.locator("dl").getByText(name, { exact: true }).locator("xpath=following-sibling::dd[1]");

  beforeAll(async () => {
    const { origin } = new URL(working().url);
    browser = await openChromium();
    page = await browser.newPage();
    // It has two cores with all of the cluster.
    page.setDefaultTimeout(60_000);
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("console", (message) => {
      // Whether an account is there is asked until it is.
      const asked = message.location().url.startsWith(`${origin}/accounts/`);
      if (message.type() === "error" && !asked) complaints.push(message.text());
    });
    page.on("request", (request) => {
      if (new URL(request.url()).origin !== origin) complaints.push(`it asks ${request.url()}`);
    });
    await page.goto(origin);
  }, 60_000);
  afterAll(async () => browser?.close(), 60_000);

  test("reads every pod through the network policies, and a worker that is scaled to none is no fault", {
    timeout,
  }, async () => {
    const { millrace, url } = working();
    const idle = async () => millrace.list("pods", "app.kubernetes.io/component=worker-account-name");
    await expect.poll(idle, { ...poll, timeout: 120_000 }).toEqual([]);
    // The first are of processes that have not answered yet.
    const third = async () => {
      let turn = 0;
      return snapshotWhere(url, () => (turn += 1) === 3);
    };
    const faults = async () => {
      const { processes } = await third();
      const there = (await adminAddresses(millrace)).map((address) => `${address} answers`);
      return differences(
        there,
        processes.map(({ address, fault }) => `${address} ${fault ?? "answers"}`),
      );
    };
    await expect.poll(faults, { ...poll, timeout: 120_000 }).toEqual([]);
    expect((await third()).queues).toMatchObject({
      accountName: { ready: 0, deadLetters: 0, workers: 0, scaler: { desired: 0 } },
      distinctName: { workers: 1, scaler: { desired: 1, ready: 1 } },
      hourlyLog: { workers: 1, scaler: { desired: 1, ready: 1 } },
    });
    const letters = await fetch(`${url}/dead-letters`);
    expect([letters.status, await letters.json()]).toEqual([200, { rows: [], more: false }]);
  });

  test("opens through the ingress, and says that all is well", { timeout }, async () => {
    await page.getByRole("heading", { name: "Millrace", exact: true }).waitFor();
    await page.getByText("live", { exact: true }).waitFor();
    await page
      .locator("#worst")
      .getByText(/^All is well: /)
      .waitFor();
    const table = page.getByRole("table", { name: "Processes" });
    const faults = async () => {
      const there = await adminAddresses(working().millrace);
      const rows = await table.getByRole("row").filter({ hasText: "answers" }).all();
      const read = await Promise.all(rows.map(async (row) => row.getByRole("cell").nth(1).textContent()));
      return differences(there, read.map(String));
    };
    await expect.poll(faults, poll).toEqual([]);
  });

  test("is told the figures each second, and none late", { timeout }, async () => {
    const lags: number[] = [];
    await snapshotWhere(working().url, ({ atMs }) => lags.push(Date.now() - atMs) === 8);
    console.log(`snapshots through the ingress: ${lags.map((lag) => `${lag} ms`).join(", ")} old`);
    expect(Math.max(...lags)).toBeLessThan(2000);
  });

  test("shows figures that move under load", { timeout }, async () => {
    const { url, ledger } = working();
    const rate = async () => Number(await tile("Accepted events/s").textContent());
    const chart = page.getByRole("img", { name: /^Accepted events per second/ });
    const described = async () => chart.getAttribute("aria-label");
    await expect.poll(rate, poll).toBeLessThan(1);
    const before = await described();
    using send = ingressSender(url, 16);
    const client = new SteadyClient(send, ledger, EVENTS_PER_SECOND);
    try {
      await expect.poll(rate, poll).toBeGreaterThan(EVENTS_PER_SECOND / 4);
      await expect.poll(described, poll).not.toBe(before);
    } finally {
      await client.finish();
    }
    expect(client.failures).toEqual([]);
    await expect.poll(rate, poll).toBeLessThan(1);
  });

  test("sends an event by its form, and shows it counted in every view", { timeout }, async () => {
    const { url, ledger } = working();
    const event = eventOfTheForm(ledger);
    await page.getByLabel("Username", { exact: true }).fill(event.username);
    await page.getByLabel("Metric", { exact: true }).fill(event.metric);
    await page.getByLabel("Count", { exact: true }).fill(String(event.count));
    await page.getByLabel("Count", { exact: true }).press("Enter");
    const steps = page.getByRole("list", { name: "What became of the event" }).getByRole("listitem");
    await page.getByText(/^The event is accepted and/).waitFor();
    console.log(`sent by the form: ${(await steps.allTextContents()).join(", ")}`);
    expect(await page.getByText("The event is accepted and counted in every view.").count()).toBe(1);
    const row = await fetch(`${url}/metrics/hourly_logs/per_user?username=${event.username}`);
    expect(await row.json()).toMatchObject([{ count: 1, maximum: event.count }]);
  });

  test("shows how many workers there are, what the operator wants and why", { timeout }, async () => {
    const { millrace } = working();
    const table = page.getByRole("table", { name: "The last decision for each scaler" });
    const shown = async () =>
      Promise.all(
        WORKERS.map(async (name) => {
          const cells = table.getByRole("row").filter({ hasText: name }).getByRole("cell");
          const [scaler, wants, has, why = ""] = await cells.allTextContents();
          return { scaler, wants: Number(wants), has: Number(has), reason: why.split(" ", 1)[0] };
        }),
      );
    const told = async () =>
      Promise.all(
        WORKERS.map(async (name) => {
          const { desiredReplicas, currentReplicas, reason } = await statusOf(millrace, name);
          return { scaler: name, wants: desiredReplicas, has: currentReplicas, reason };
        }),
      );
    const equal = async () => {
      const [seen, status] = await Promise.all([shown(), told()]);
      return JSON.stringify(seen) === JSON.stringify(status) ? "equal" : { seen, status };
    };
    await expect.poll(equal, { ...poll, timeout: 120_000 }).toBe("equal");
    const changes = page.getByRole("region", { name: "What the operator decided" }).getByRole("listitem");
    await expect
      .poll(async () => changes.allTextContents(), poll)
      .toContainEqual(expect.stringMatching(/millrace-worker-account-name (up|down) from \d to \d\. \w+/));
    await page.getByRole("img", { name: /^Replicas, ready and desired/ }).waitFor();
  });

  test("has erred nowhere, and asked no other host", () => expect(complaints).toEqual([]));
}
