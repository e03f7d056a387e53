import * as fc from "fast-check";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readKeyFile } from "../../src/adapters/embedded/key-file.ts";
import { readCertificates } from "../../src/certificates.ts";
import { certificatesCheck, keysCheck } from "../../src/commands/doctor-files.ts";
import { clockCheck, processesCheck } from "../../src/commands/doctor-others.ts";
import { readConfig } from "../../src/config.ts";
import { levelOf } from "../../src/domain/diagnosis.ts";
import { type Access, encodeKeys } from "../../src/domain/key.ts";
import { createAdmin } from "../../src/http/admin.ts";
import { Authority, type Issued } from "../parts/authority.ts";
import { freePorts } from "../parts/ports.ts";

const NOW = Date.parse("2096-11-24T12:00:00Z");
const DAY_MS = 86_400_000;
const { signal } = new AbortController();
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "millrace-doctor-files-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("the keys", () => {
  let hashes = 0;
  const key = (name: string, access: readonly Access[], lastsDays?: number) => {
    hashes += 1;
    return {
      name,
      hash: hashes.toString(16).padStart(64, "0"),
      access: [...access],
      createdAt: "2096-01-01T00:00:00Z",
      ...(lastsDays === undefined ? {} : { expiresAt: new Date(NOW + lastsDays * DAY_MS).toISOString() }),
    };
  };
  const look = async (text: string) => {
    const keysFile = join(folder, "keys.json");
    await writeFile(keysFile, text);
    return keysCheck({ keysFile, keysRequiredFor: ["write", "read", "admin"] }, readKeyFile, () => NOW).run(
      signal,
    );
  };

  test("that last have no fault, also where one was rotated", async () => {
    const keys = [
      key("all", ["write", "read", "admin"]),
      key("shop", ["write"], 1),
      key("shop", ["write"], 60),
    ];
    expect(await look(encodeKeys(keys))).toMatchObject({
      found: expect.stringMatching(/3 keys, 3 valid$/),
      problems: [],
    });
  });
  test("that end soon, have ended or leave nobody to administer are told, without their hashes", async () => {
    const keys = [key("ends", ["write"], 13), key("ended", ["admin"], -1), key("lasts", ["read"], 15)];
    const finding = await look(encodeKeys(keys));
    expect(finding.problems).toMatchObject([
      {
        level: "warning",
        what: expect.stringMatching(/access admin/),
        todo: expect.stringMatching(/^millrace keys create .*--access admin/),
      },
      { what: expect.stringMatching(/^the key ends ends at 2096-12-07T/) },
      {
        what: expect.stringMatching(/^the key ended ended at 2096-11-23T/),
        todo: expect.stringContaining("millrace keys revoke ended"),
      },
    ]);
    for (const { hash } of keys) expect(JSON.stringify(finding)).not.toContain(hash);
  });
  test("that cannot be read are a fault", async () => {
    await expect(look("{}")).rejects.toMatchObject({ code: "INVALID_KEYS" });
  });
});

describe("the certificates", () => {
  let one: Issued;
  let other: Issued;
  beforeAll(async () => {
    const authority = await Authority.make(folder, "authority");
    // They last for two days.
    one = await authority.issue("one");
    other = await authority.issue("other");
  });
  const look = async (cert: string, key: string, nowMs: number) => {
    const config = readConfig({ MILLRACE_SERVER_CERT_FILE: cert, MILLRACE_SERVER_KEY_FILE: key }, {});
    const read = () => readCertificates(config, "server");
    return certificatesCheck([{ purpose: "server", read }], () => nowMs).run(signal);
  };
  test.for([
    ["that end soon", 0, "warning", /^the certificate for the server ends at /],
    ["that have ended", 3, "fault", /^the certificate for the server ended at /],
    ["that have not begun", -1, "fault", /^the certificate for the server begins at .* only$/],
  ] as const)("%s are told", async ([, days, level, words]) => {
    const { found, problems } = await look(one.cert, one.key, Date.now() + days * DAY_MS);
    expect(found).toMatch(/^the certificate for the server until \d{4}-/);
    expect(problems).toMatchObject([{ level, what: expect.stringMatching(words) }]);
  });
  test("that last have no fault", async () => {
    const authority = await Authority.make(folder, "lasting", 30);
    const lasting = await authority.issue("lasts");
    expect(await look(lasting.cert, lasting.key, Date.now() + 1000)).toMatchObject({ problems: [] });
  });
  test("that do not fit are a fault, with the variables", async () => {
    const { problems } = await look(one.cert, other.key, Date.now());
    expect(problems).toMatchObject([
      {
        level: "fault",
        what: expect.stringMatching(/^MILLRACE_SERVER_CERT_FILE, MILLRACE_SERVER_KEY_FILE: /),
      },
    ]);
  });
});

describe("the clock", () => {
  const look = (offMs: number, maxFutureMs = 60_000, withinMs = 0) =>
    clockCheck(
      [{ of: "the store", read: async () => ({ atMs: NOW + offMs, withinMs }) }],
      { maxFutureMs },
      () => NOW,
    ).run(signal);
  test.for([
    [0, "ok"],
    [1000, "ok"],
    [-1000, "ok"],
    [1001, "warning"],
    [-1001, "warning"],
    [60_000, "warning"],
    [60_001, "fault"],
    [-60_001, "fault"],
  ] as const)("of a server %i ms off is %s", async ([offMs, level]) => {
    expect(levelOf((await look(offMs)).problems)).toBe(level);
  });
  test("that tells seconds alone is not taken for one that is behind", async () => {
    expect(levelOf((await look(-1999, 60_000, 1000)).problems)).toBe("ok");
    expect((await look(-2001, 60_000, 1000)).problems[0]?.what).toBe(
      "the store's clock is at least 1.0 s behind this one",
    );
  });
  test("is told the more serious the more it is off, whatever the limit", async () => {
    const order = ["ok", "warning", "fault"];
    await fc.assert(
      fc.asyncProperty(fc.nat(10_000_000), fc.nat(10_000_000), fc.nat(10_000_000), async (a, b, limit) => {
        const [near, far] = a < b ? [a, b] : [b, a];
        const [one, other] = await Promise.all([look(near, limit), look(-far, limit)]);
        expect(order.indexOf(levelOf(one.problems))).toBeLessThanOrEqual(
          order.indexOf(levelOf(other.problems)),
        );
      }),
    );
  });
  test("that nobody tells is not known", async () => {
    const check = clockCheck(
      [{ of: "x", read: () => Promise.reject(new Error("no")) }],
      { maxFutureMs: 1 },
      () => NOW,
    );
    expect(await check.run(signal)).toMatchObject({ skipped: true, problems: [] });
  });
});

describe("the other processes", () => {
  test("that are ready, are not, are nobody of ours and are not there", async () => {
    const admin = (store: () => Promise<void>) =>
      createAdmin({
        metrics: async () => ({ text: "", contentType: "text/plain" }),
        checks: { store, broker: async () => {} },
        stop: signal,
        hosts: readConfig({}, {}),
      });
    const [ready, unready] = [
      admin(async () => {}),
      admin(() => Promise.reject(new Error("the disk is full"))),
    ];
    const other = createServer((_request, response) => void response.writeHead(500).end("<html>"));
    other.listen(0, "127.0.0.1");
    await once(other, "listening");
    await using _ = {
      async [Symbol.asyncDispose]() {
        other.close();
        await Promise.all([ready.close(), unready.close()]);
      },
    };
    const [gone = 0] = await freePorts(1);
    for (const server of [ready, unready]) await server.listen({ host: "127.0.0.1", port: 0 });
    const portOf = (server: { address(): AddressInfo | string | null }) =>
      String((server.address() as AddressInfo).port);
    const sources = [
      { role: "query", host: "one", port: portOf(ready.server) },
      { role: "sweeper", host: "one", port: portOf(unready.server) },
      { role: "collector", host: "one", port: portOf(other) },
      { role: "hourlyLog", host: "one", port: String(gone) },
      { role: "operator", host: "nowhere", port: "1" },
    ];
    const addressesOf = (host: string) =>
      host === "one" ? Promise.resolve(["127.0.0.1"]) : Promise.reject(new Error("ENOTFOUND"));
    const { found, problems } = await processesCheck(sources, addressesOf).run(signal);
    expect(found).toBe(
      "query: 1 of 1 ready; sweeper: 0 of 1 ready; collector: 0 of 1 ready; hourlyLog: 0 of 1 ready; operator: 0 of 1 ready",
    );
    expect(problems).toMatchObject([
      {
        level: "fault",
        what: expect.stringMatching(/^sweeper at 127.0.0.1:\d+ is not ready: store: the disk is full$/),
      },
      { level: "fault", what: expect.stringMatching(/^collector at .* it answers 500$/) },
      { level: "fault", what: expect.stringMatching(/^hourlyLog at .*ECONNREFUSED/) },
      { level: "warning", what: "operator: nowhere has no address: ENOTFOUND" },
    ]);
  });
});
