/** Draws docs/img/console-*.png: the page of a real standalone, with the live figures of a made-up cluster. */
import { join } from "node:path";
import type { Browser, BrowserContextOptions } from "playwright-core";
import { openEmbeddedStore } from "../src/adapters/embedded/store.ts";
import { openBroker, rubbish, workOff } from "../test/commands/work-off.ts";
import { type Standalone, startStandalone } from "../test/flow/standalone.ts";
import { openChromium } from "../test/parts/chromium.ts";
import { type MadeUp, madeUpCluster } from "./screenshots-cluster.ts";

const folder = join(import.meta.dirname, "img");
const DAY_MS = 86_400_000;

await using browser = await openChromium();
await using millrace = await startStandalone({ readyTimeoutMs: 180_000 });
await addLetters(millrace);
await addEvents(millrace);
const cluster = madeUpCluster(Date.now());
const desk = { width: 1280, height: 1900 };
const phone = { width: 360, height: 1400 };
await draw(browser, "light", { viewport: desk, colorScheme: "light" });
await draw(browser, "dark", { viewport: { ...desk, height: 1100 }, colorScheme: "dark" });
await draw(browser, "phone", { viewport: phone, colorScheme: "light", deviceScaleFactor: 1.5 });

async function addLetters(system: Standalone): Promise<void> {
  await system.stop();
  {
    await using store = await openEmbeddedStore(system.dataDir);
    await using broker = openBroker(system.dataDir);
    await workOff(broker, store, [rubbish("text/csv", "ann,reads,5")], ["hourlyLog"]);
    await workOff(broker, store, [rubbish("application/json", '{"username":"Zoë","metric":')], ["hourlyLog"]);
  }
  await system.restart();
}

async function addEvents(system: Standalone): Promise<void> {
  const metrics = ["page_view", "click", "api_call", "search", "login", "purchase", "export_csv"];
  const nowMs = Date.now();
  const events = metrics.flatMap((metric, rank) =>
    Array.from({ length: 30 }, (_, day) => {
      const weekend = [0, 6].includes(new Date(nowMs - day * DAY_MS).getUTCDay());
      const number = Math.ceil(((weekend ? 9 : 20) + ((day * 7) % 5)) / (rank + 1));
      return Array.from({ length: day === 0 ? 3 * number : number }, (_event, at) => ({
        username: `user-${(at * 37 + rank * 11) % 97}`,
        metric,
        count: (at * at * 31 + rank * 97) % 900,
        timestamp: nowMs - day * DAY_MS - at * 1000,
      }));
    }).flat(),
  );
  const answer = await fetch(`${system.collectorUrl}/events`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(events),
  });
  if (!answer.ok) throw new Error(`the collector answers ${answer.status}: ${await answer.text()}`);
}

async function draw(on: Browser, name: string, options: BrowserContextOptions): Promise<void> {
  const context = await on.newContext({ ...options, reducedMotion: "reduce" });
  // A machine with other work is slow.
  context.setDefaultTimeout(180_000);
  const page = await context.newPage();
  await page.addInitScript(played(cluster));
  await page.goto(millrace.queryUrl);
  await page.getByText("live", { exact: true }).waitFor();
  await page.getByLabel("Username", { exact: true }).fill("ann");
  await page.getByLabel("Metric", { exact: true }).fill("page_view");
  await page.getByRole("button", { name: "Send event" }).click();
  await page.locator("#sent").getByText("counted in every view").waitFor({ state: "attached" });
  await page.getByLabel("User", { exact: true }).fill("user-37");
  await page.getByRole("button", { name: "Search" }).click();
  await page.locator("#found table").waitFor();
  await page.locator("#letters details").first().waitFor();
  await page.locator("#days-chart canvas").waitFor();
  await page.getByText("Last changes").waitFor();
  await page.evaluate("document.activeElement.blur(); scrollTo(0, 0)");
  await page.screenshot({ path: join(folder, `console-${name}.png`) });
  await context.close();
}

/** In the place of the stream: what there was, and then the last of it for as long as the page is open. */
function played({ snapshots, log }: MadeUp): string {
  const told = (name: string, data: unknown) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
  const first = told("history", snapshots) + told("decisions", log);
  const then = told("snapshot", snapshots.at(-1));
  return `{
    const ask = globalThis.fetch;
    const figures = () => {
      let timer;
      return new ReadableStream({
        start(stream) {
          const tell = (text) => stream.enqueue(new TextEncoder().encode(text));
          tell(${JSON.stringify(first + then)});
          timer = setInterval(tell, 1000, ${JSON.stringify(then)});
        },
        cancel: () => clearInterval(timer),
      });
    };
    globalThis.fetch = async (what, options) =>
      String(what).endsWith("console/live") ? new Response(figures()) : ask(what, options);
  }`;
}
