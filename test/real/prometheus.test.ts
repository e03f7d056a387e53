import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { whyNoChroot } from "../parts/chroot.ts";
import { portOf } from "../parts/ports.ts";
import { type Prometheus, promtool, startPrometheus } from "../parts/prometheus.ts";

/** A cold start may be obtaining it just now. */
const OBTAIN_MS = 600_000;
const WAIT = { timeout: 20_000, interval: 100 };
const missing = whyNoChroot();

const rules = JSON.stringify({
  groups: [
    {
      name: "of-the-test",
      rules: [
        { record: "namespace:water:double", expr: "sum by (namespace) (water) * 2" },
        { alert: "Flood", expr: "water > 6", annotations: { summary: "{{ $value }} of {{ $labels.pod }}" } },
      ],
    },
  ],
});

describe.skipIf(missing !== undefined)(`Prometheus${missing === undefined ? "" : ` (${missing})`}`, () => {
  let server: Server;
  let part: Prometheus;
  beforeAll(async () => {
    server = createServer((_, response) => {
      response.setHeader("content-type", "text/plain; version=0.0.4");
      response.end('water{namespace="own"} 7\n');
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const address = `127.0.0.1:${portOf(server)}`;
    const labels = { namespace: "of-target", instance: "pod-1", pod: "pod-1" };
    part = await startPrometheus({
      rules: [rules],
      jobs: [
        { job: "honest", honorLabels: true, targets: [{ address, labels }] },
        { job: "plain", targets: [{ address, labels }] },
      ],
    });
  }, OBTAIN_MS);
  afterAll(async () => {
    await part?.[Symbol.asyncDispose]();
    server?.close();
  });

  test("answers with its version", () => {
    expect(part.version).toMatch(/^Prometheus \d+\.\d+\./);
  });

  test("scrapes targets with the labels that a job gives them", async () => {
    await vi.waitFor(async () => expect(await part.query("water")).toHaveLength(2), WAIT);
    const labels = (await part.query("water")).map(({ metric }) => metric);
    expect(labels).toContainEqual(
      expect.objectContaining({ job: "honest", namespace: "own", instance: "pod-1" }),
    );
    expect(labels).toContainEqual(
      expect.objectContaining({ job: "plain", namespace: "of-target", exported_namespace: "own" }),
    );
    expect((await part.targets()).map(({ health }) => health)).toEqual(["up", "up"]);
  });

  test("evaluates rules, and tells which alerts fire", async () => {
    await vi.waitFor(async () => {
      expect((await part.query('namespace:water:double{namespace="own"}'))[0]?.value[1]).toBe("14");
      const alert = (await part.rules()).find(({ name }) => name === "Flood");
      expect(alert).toMatchObject({ state: "firing", health: "ok" });
      expect(alert?.alerts?.[0]?.annotations).toEqual({ summary: "7 of pod-1" });
    }, WAIT);
  });

  test("answers a range with its points, and a wrong expression with what is wrong", async () => {
    const now = Date.now() / 1000;
    const [series] = await part.queryRange("vector(3)", now - 2, now, 1);
    expect(series?.values.map(([, value]) => value)).toEqual(["3", "3", "3"]);
    expect((await part.query("scalar(vector(2))"))[0]?.value[1]).toBe("2");
    await expect(part.query("sum(")).rejects.toThrow(/parse error/);
  });
});

describe.skipIf(missing !== undefined)("promtool", () => {
  test("reads files and standard input, and its exit code is told", { timeout: OBTAIN_MS }, async () => {
    expect(
      await promtool({ words: ["check", "rules", "a/rules.yml"], files: { "a/rules.yml": rules } }),
    ).toEqual({
      code: 0,
      output: expect.stringContaining("2 rules found"),
    });
    const input = "# HELP water Water.\n# TYPE water counter\nwater 1\n";
    const found = await promtool({ words: ["check", "metrics"], input });
    expect(found.code).not.toBe(0);
    expect(found.output).toContain('counter metrics should have "_total" suffix');
  });
});
