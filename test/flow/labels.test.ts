import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Standalone, startStandalone } from "./standalone.ts";
import { distinctNames, eventsIn } from "./views.ts";

const NAMES = 100_000;
const BATCH = 5000;
const timeout = 120_000;

/** Names of the series of a text in Prometheus's format, with their labels. */
const seriesIn = (metrics: string): ReadonlySet<string> =>
  new Set(
    metrics
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => line.slice(0, line.lastIndexOf(" "))),
  );

describe("labels", () => {
  let standalone: Standalone;
  beforeAll(async () => {
    standalone = await startStandalone();
  });
  afterAll(async () => {
    await standalone[Symbol.asyncDispose]();
  });

  const post = async (events: readonly object[]) => {
    const response = await fetch(`${standalone.collectorUrl}/events`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(events),
    });
    await response.arrayBuffer();
    return response.status;
  };
  const counted = async () => eventsIn(await distinctNames(standalone.queryUrl));
  const asked = async (url: string, method = "GET") => {
    const response = await fetch(url, { method });
    await response.arrayBuffer();
    return response.status;
  };
  const series = async () => seriesIn(await (await fetch(`${standalone.adminUrl}/metrics`)).text());

  test("are the same after 100,000 usernames and metrics, and hundreds of paths", { timeout }, async () => {
    const { collectorUrl, queryUrl } = standalone;
    /** Once of everything that may come many times. */
    const each = async (name: string): Promise<void> => {
      const path = encodeURIComponent(name);
      expect(await asked(`${collectorUrl}/${path}`)).toBe(404);
      expect(await asked(`${queryUrl}/${path}?${path}=${path}`)).toBe(404);
      expect(await asked(`${queryUrl}/${path}`, "DELETE")).toBe(404);
      expect(await asked(`${queryUrl}/accounts/${path}`)).toBe(404);
      expect(await asked(`${queryUrl}/metrics/hourly_logs/per_user?username=${path}&metric=${path}`)).toBe(
        200,
      );
      expect(await post([{ username: name, metric: name, count: "x", [name]: 1 }])).toBe(400);
    };
    await each("nobody");
    expect(await post([{ username: "ann", metric: "reads", count: 1, id: "an id" }])).toBe(200);
    expect(await post([{ username: "ann", metric: "reads", count: 1, id: "an id" }])).toBe(200);
    await expect.poll(counted, { timeout }).toBe(1);
    // A worker has measured a delivery a moment after it is counted.
    const delivered = async () =>
      Array.from(await series()).filter((one) => one.startsWith("millrace_delivery_duration_seconds_count"));
    await expect.poll(delivered, { timeout }).toHaveLength(3);
    const before = await series();
    expect(before).toContain('millrace_events_total{outcome="accepted"}');

    for (let sent = 0; sent < NAMES; sent += BATCH) {
      const events = Array.from({ length: BATCH }, (_, index) => ({
        username: `user ${sent + index} "of\\many"`,
        metric: `metric-${sent + index}`,
        count: index,
      }));
      expect(await post(events)).toBe(200);
    }
    for (let name = 0; name < 200; name += 1) await each(`name-${name}`);
    await expect.poll(counted, { timeout, interval: 1000 }).toBe(NAMES + 1);
    const after = await series();
    // Node's own have a label for the kind of a garbage collection, of which not all have come at first.
    const ours = Array.from(after).filter((one) => one.startsWith("millrace_"));
    expect(ours.filter((one) => !before.has(one))).toEqual([]);
    expect(Array.from(after).filter((one) => /user \d|metric-\d|name-\d/.test(one))).toEqual([]);
  });
});
