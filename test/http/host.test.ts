import fastify from "fastify";
import { describe, expect, test } from "vitest";
import { refuseOtherHosts } from "../../src/http/host.ts";

async function statusOf(
  rules: { host?: string; allowedHosts?: readonly string[] },
  header: string,
): Promise<number> {
  const server = fastify({ logger: false });
  refuseOtherHosts(server, { host: "127.0.0.1", allowedHosts: [], ...rules });
  server.get("/", () => "ours");
  const { statusCode, body } = await server.inject({ url: "/", headers: { host: header } });
  const isProblem = body.includes('"code":"HOST_REFUSED"');
  if (isProblem !== (statusCode === 421)) throw new Error(`${statusCode} with ${body}`);
  return statusCode;
}

describe("on the loopback a request may name", () => {
  test.for([
    "localhost",
    "localhost:3001",
    "LocalHost:3001",
    "localhost.",
    "127.0.0.1",
    "127.0.0.1:3001",
    "127.8.9.10:1",
    "[::1]",
    "[::1]:3001",
    "192.168.0.7:3001",
    "[fd00::1]:3001",
  ])("%s", async (header) => {
    for (const host of ["127.0.0.1", "127.0.0.2", "localhost", "::1"]) {
      expect(await statusOf({ host }, header)).toBe(200);
    }
  });
});

describe("on the loopback a request may not name", () => {
  test.for([
    "evil.example",
    "evil.example:3001",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "localhost@evil.example",
    "notlocalhost",
    "a.localhost",
    "0x7f000001",
    "2130706433",
    "127.1",
    "127.0.0.1:80:90",
    "[::1",
    "[::1]x",
    "[localhost]",
    "::1",
    "*",
    " ",
    "\u00e9",
    "__proto__",
  ])("%j", async (header) => {
    for (const host of ["127.0.0.1", "localhost", "::1"]) expect(await statusOf({ host }, header)).toBe(421);
  });
});

test("beyond the loopback it may name any host, until hosts are named: then those, localhost and addresses", async () => {
  for (const host of ["0.0.0.0", "::", "10.1.2.3", "millrace.svc"]) {
    expect(await statusOf({ host }, "anything.example:3000")).toBe(200);
    const rules = { host, allowedHosts: ["Millrace.example"] };
    for (const ours of ["millrace.example:3000", "MILLRACE.EXAMPLE", "localhost", "10.1.2.3:9090"]) {
      expect(await statusOf(rules, ours)).toBe(200);
    }
    expect(await statusOf(rules, "anything.example:3000")).toBe(421);
  }
});

test("names are added by the setting on the loopback too, and * is any", async () => {
  expect(await statusOf({ allowedHosts: ["millrace.test"] }, "millrace.test:3001")).toBe(200);
  expect(await statusOf({ allowedHosts: ["millrace.test"] }, "evil.example")).toBe(421);
  expect(await statusOf({ allowedHosts: ["*"] }, "evil.example")).toBe(200);
});
