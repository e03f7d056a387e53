import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { expect } from "vitest";

/** The console in a browser, and what the browser had to complain of. */
export interface Console extends AsyncDisposable {
  readonly page: Page;
  /** Errors of scripts, of the content security policy and of requests that were refused. */
  readonly complaints: readonly string[];
  /** Origins that the page has asked anything of. */
  readonly asked: ReadonlySet<string>;
}

/** Longest wait for what a page is to show: other tests may have the machine. */
export const PATIENCE_MS = 30_000;
/** Longest wait for a standalone, for the same reason. */
export const START_MS = 60_000;
const VIOLATIONS = "policyViolations";
/** A look-up of an account that is not there yet is answered 404, which Chromium writes into its console. */
const isExpected = (text: string, url: string): boolean =>
  text.includes("404") && new URL(url).pathname.startsWith("/accounts/");

/** Opens the console in a browser profile of its own and waits until it is live. */
export async function openConsole(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Console> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const complaints: string[] = [];
  const asked = new Set<string>();
  page.on("pageerror", (error) => complaints.push(`script: ${error.message}`));
  page.on("console", (message) => {
    const { url: from } = message.location();
    if (message.type() !== "error" || isExpected(message.text(), from || url)) return;
    complaints.push(`console: ${message.text()} (${from})`);
  });
  page.on("request", (request) => asked.add(new URL(request.url()).origin));
  await page.addInitScript(
    `globalThis.${VIOLATIONS} = [];
     document.addEventListener("securitypolicyviolation", (event) => ${VIOLATIONS}.push(event.violatedDirective));`,
  );
  await page.goto(url);
  await page.getByText("live", { exact: true }).waitFor();
  return {
    page,
    complaints,
    asked,
    async [Symbol.asyncDispose]() {
      await context.close();
    },
  };
}

/** Holds a page to what every use of it must keep. */
export async function expectSound({ page, complaints, asked }: Console, url: string): Promise<void> {
  expect(complaints).toEqual([]);
  expect(await page.evaluate(VIOLATIONS)).toEqual([]);
  expect([...asked]).toEqual([new URL(url).origin]);
}

const axe = await readFile(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");

interface Violation {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}

/** What axe finds serious or critical, each with the first place. */
export async function barriers(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe);
  const { violations } = await page.evaluate<{ violations: readonly Violation[] }>(
    "axe.run(document, { resultTypes: ['violations'] })",
  );
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes[0]?.html} ${nodes[0]?.failureSummary}`);
}

/** How many pixels the page is wider than its window. */
export async function overhang(page: Page): Promise<number> {
  return page.evaluate<number>("document.documentElement.scrollWidth - document.documentElement.clientWidth");
}
