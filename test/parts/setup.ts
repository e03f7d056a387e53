import type { TestProject } from "vitest/node";
import { say } from "./command.ts";
import { whyNoOwnParts } from "./parts.ts";
import { openSharedParts } from "./shared.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** The broker that the whole test run shares; undefined where none can be had. */
    readonly broker:
      | { readonly url: string; readonly managementUrl: string; readonly version: string }
      | undefined;
    /** The store that the whole test run shares; undefined where none can be had. */
    readonly store: { readonly url: string; readonly version: string } | undefined;
    /** Why one of the two cannot be had; undefined where both can. */
    readonly partsMissing: string | undefined;
    /** Why a test cannot start further parts of its own; undefined where it can. */
    readonly ownPartsMissing: string | undefined;
  }
}

/** Before the first test of the project: opens the shared parts and tells the tests where they are. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const parts = await openSharedParts();
  const { broker, store, missing } = parts;
  project.provide(
    "broker",
    broker && { url: broker.url, managementUrl: broker.managementUrl, version: broker.version },
  );
  project.provide("store", store && { url: store.url, version: store.version });
  const partsMissing = missing.length === 0 ? undefined : missing.join("\n");
  project.provide("partsMissing", partsMissing);
  project.provide("ownPartsMissing", partsMissing ?? (await whyNoOwnParts()));
  if (missing.length > 0) warn(missing);
  say([broker?.version ?? "no broker", store?.version ?? "no store"].join(", "));
  return async () => parts[Symbol.asyncDispose]();
}

function warn(missing: readonly string[]): void {
  const help =
    "Set MILLRACE_TEST_BROKER_URL and MILLRACE_TEST_STORE_URL to use servers that you run yourself.";
  const lines = [
    "TESTS AGAINST REAL SERVERS ARE SKIPPED",
    ...missing.flatMap((why) => why.split("\n")),
    help,
  ];
  const bar = "!".repeat(80);
  process.stderr.write(`\n${bar}\n${lines.map((line) => `!! ${line}\n`).join("")}${bar}\n\n`);
}
