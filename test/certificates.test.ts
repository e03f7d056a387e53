import { appendFile, copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { certificateReader, openCertificates } from "../src/certificates.ts";
import { readConfig } from "../src/config.ts";
import type { Emit, FileState, SignalName, Signals } from "../src/signals.ts";
import { Authority, type Issued } from "./parts/authority.ts";
import { command } from "./parts/command.ts";

let folder: string;
let authority: Authority;
let one: Issued;
let other: Issued;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "millrace-certificates-"));
  authority = await Authority.make(folder, "authority");
  one = await authority.issue("one");
  other = await authority.issue("other");
});
afterAll(async () => rm(folder, { recursive: true, force: true }));

const brokerConfig = (cert: string, key: string, ca = "") =>
  readConfig(
    { MILLRACE_BROKER_CERT_FILE: cert, MILLRACE_BROKER_KEY_FILE: key, MILLRACE_BROKER_CA_FILE: ca },
    {},
  );

/** As openssl tells it. */
async function expiryIn(path: string): Promise<number> {
  const out = await command("openssl", ["x509", "-in", path, "-noout", "-enddate"]);
  return Date.parse(out.replace("notAfter=", "").trim());
}

test("without a file there are none", () => {
  expect(certificateReader(readConfig({}, {}), "broker")).toBeUndefined();
  expect(openCertificates(readConfig({}, {}), "store", () => {})).toBeUndefined();
});

test("what is in the files is what is used", () => {
  const read = certificateReader(brokerConfig(one.cert, one.key, authority.ca), "broker");
  expect(read?.()).toEqual({
    ca: expect.stringContaining("BEGIN CERTIFICATE") as string,
    cert: expect.stringContaining("BEGIN CERTIFICATE") as string,
    key: expect.stringContaining("PRIVATE KEY") as string,
  });
});

test.for([
  [
    "a certificate without its key",
    () => [one.cert, ""],
    /CERT_FILE is set without MILLRACE_BROKER_KEY_FILE/,
  ],
  ["a key without its certificate", () => ["", one.key], /KEY_FILE is set without MILLRACE_BROKER_CERT_FILE/],
  ["a file that is not there", () => [one.cert, join(folder, "none")], /KEY_FILE cannot be read: ENOENT/],
  [
    "the key of another",
    () => [one.cert, other.key],
    /CERT_FILE, MILLRACE_BROKER_KEY_FILE: .*key values mismatch/,
  ],
  ["no PEM", () => [one.key, one.cert], /CERT_FILE, MILLRACE_BROKER_KEY_FILE: not PEM/],
] as const)("%s stops the start, with the variable", ([, files, message]) => {
  const [cert = "", key = ""] = files();
  expect(() => certificateReader(brokerConfig(cert, key), "broker")).toThrow(message);
});

test("who connects anew is given what was renewed, and the last good ones while the files do not fit", async () => {
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "cert.key")];
  await copyFile(one.cert, cert);
  await copyFile(one.key, key);
  const read = certificateReader(brokerConfig(cert, key), "broker");
  const first = read?.();
  await copyFile(other.cert, cert);
  expect(read?.()).toEqual(first);
  await copyFile(other.key, key);
  expect(read?.()).not.toEqual(first);
});

test("who connects anew has the log told what is wrong with the files, once as long as it is the same", async () => {
  const [cert, key] = [join(folder, "told.pem"), join(folder, "told.key")];
  await copyFile(one.cert, cert);
  await copyFile(one.key, key);
  const told: string[] = [];
  const read = certificateReader(brokerConfig(cert, key), "broker", (name, fact) => {
    if (name === "certificates.refused") told.push(String((fact as Signals["certificates.refused"]).error));
  });
  const readTwice = () => [read?.(), read?.()];
  readTwice();
  expect(told).toEqual([]);
  await copyFile(other.key, key);
  readTwice();
  expect(told).toEqual([expect.stringContaining("key values mismatch")]);
  await rm(key);
  readTwice();
  expect(told.slice(1)).toEqual([expect.stringContaining("MILLRACE_BROKER_KEY_FILE cannot be read")]);
  await copyFile(one.key, key);
  readTwice();
  await rm(key);
  readTwice();
  expect(told.slice(2)).toEqual(told.slice(1, 2));
});

test("the first of a chain that expires counts, and files are looked at though nobody connects", async () => {
  const short = await Authority.make(folder, "short", 1);
  const [cert, key] = [join(folder, "chain.pem"), join(folder, "chain.key")];
  await copyFile(one.cert, cert);
  await copyFile(one.key, key);
  let stateNow: (() => FileState) | undefined;
  certificateReader(brokerConfig(cert, key), "broker", (_name, fact) => {
    stateNow = (fact as Signals["file.watched"]).state;
  });
  expect(stateNow?.()).toEqual({ failing: false, expiresAtMs: await expiryIn(one.cert) });
  await appendFile(cert, await readFile(short.ca));
  expect(stateNow?.()).toEqual({ failing: false, expiresAtMs: await expiryIn(short.ca) });
  await rm(key);
  expect(stateNow?.()).toEqual({ failing: true, expiresAtMs: await expiryIn(short.ca) });
});

test("authorities alone have no time at which they expire", () => {
  let stateNow: (() => FileState) | undefined;
  certificateReader(brokerConfig("", "", authority.ca), "broker", (_name, fact) => {
    stateNow = (fact as Signals["file.watched"]).state;
  });
  expect(stateNow?.()).toEqual({ failing: false, expiresAtMs: undefined });
});

test("who keeps connections is told of what was renewed, and the log of what is of no use, once", async () => {
  vi.useFakeTimers();
  try {
    const [cert, key] = [join(folder, "kept.pem"), join(folder, "kept.key")];
    await copyFile(one.cert, cert);
    await copyFile(one.key, key);
    const told: SignalName[] = [];
    let stateNow: (() => FileState) | undefined;
    const emit: Emit = (name, fact) => {
      if (name === "file.watched") stateNow = (fact as Signals["file.watched"]).state;
      else told.push(name);
    };
    const source = openCertificates(brokerConfig(cert, key), "broker", emit);
    expect(stateNow?.()).toEqual({ failing: false, expiresAtMs: await expiryIn(one.cert) });
    const first = source?.current;
    let changes = 0;
    source?.onChange(() => (changes += 1));

    await writeFile(key, "rubbish");
    vi.advanceTimersByTime(60_000);
    expect([told, changes, source?.current]).toEqual([["certificates.refused"], 0, first]);
    expect(stateNow?.()).toEqual({ failing: true, expiresAtMs: await expiryIn(one.cert) });
    await copyFile(one.key, key);
    vi.advanceTimersByTime(60_000);
    expect(stateNow?.().failing).toBe(false);

    await copyFile(other.cert, cert);
    await copyFile(other.key, key);
    vi.advanceTimersByTime(60_000);
    expect([told, changes]).toEqual([["certificates.refused", "certificates.renewed"], 1]);
    expect(source?.current).not.toEqual(first);
    expect(stateNow?.()).toEqual({ failing: false, expiresAtMs: await expiryIn(other.cert) });
  } finally {
    vi.useRealTimers();
  }
});
