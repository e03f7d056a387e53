import { once } from "node:events";
import { copyFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { Agent, request } from "node:https";
import { connect as connectPlain } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type PeerCertificate } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Authority, type Issued } from "../parts/authority.ts";
import { type Standalone, startStandalone } from "./standalone.ts";

let folder: string;
let authority: Authority;
let client: Issued;
let standalone: Standalone;
let served: Issued;
const opened = new AsyncDisposableStack();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "millrace-tls-"));
  opened.defer(async () => rm(folder, { recursive: true, force: true }));
  authority = await Authority.make(folder, "authority");
  client = await authority.issue("client");
  const first = await authority.issue("first");
  served = { cert: join(folder, "served.pem"), key: join(folder, "served.key") };
  await copyFile(first.cert, served.cert);
  await copyFile(first.key, served.key);
  standalone = opened.use(
    await startStandalone({
      environment: {
        MILLRACE_SERVER_CERT_FILE: served.cert,
        MILLRACE_SERVER_KEY_FILE: served.key,
        MILLRACE_SERVER_CLIENT_CA_FILE: authority.ca,
        MILLRACE_REQUEST_TIMEOUT_MS: "5000",
      },
    }),
  );
}, 60_000);
afterAll(async () => opened.disposeAsync());

interface Answer {
  readonly status: number | undefined;
  readonly text: string;
}

async function ask(url: string, agent: Agent, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { "content-type": "application/json" };
    const asked = request(url.replace("http:", "https:"), {
      agent,
      method: body === undefined ? "GET" : "POST",
      headers,
    });
    asked.once("error", reject);
    asked.once("response", (answer) => {
      let text = "";
      answer.on("data", (chunk: Buffer) => (text += chunk.toString()));
      answer.once("end", () => resolve({ status: answer.statusCode, text }));
    });
    asked.end(body);
  });
}

async function agentOf(shown?: Issued): Promise<Agent> {
  const ca = await readFile(authority.ca);
  if (shown === undefined) return new Agent({ ca });
  return new Agent({ ca, cert: await readFile(shown.cert), key: await readFile(shown.key), keepAlive: true });
}

const event = (username: string) => JSON.stringify({ username, metric: "secured", count: 1 });

/** What the server shows to who connects now. */
async function peer(): Promise<PeerCertificate> {
  const [ca, cert, key] = await Promise.all(
    [authority.ca, client.cert, client.key].map((path) => readFile(path)),
  );
  return new Promise((resolve, reject) => {
    const port = Number(new URL(standalone.collectorUrl).port);
    const socket = connect({ host: "127.0.0.1", port, ca, cert, key }, () => {
      resolve(socket.getPeerCertificate());
      socket.destroy();
    });
    socket.once("error", reject);
  });
}

describe("a server with TLS", () => {
  test("takes an event from a client with a certificate, and answers its questions", async () => {
    const agent = await agentOf(client);
    expect(await ask(`${standalone.collectorUrl}/event`, agent, event("a"))).toEqual({
      status: 200,
      text: "",
    });
    const totals = async () => (await ask(`${standalone.queryUrl}/metrics/hourly_logs/total`, agent)).text;
    await expect.poll(totals, { timeout: 20_000 }).toContain('"_id":"secured"');
  });

  test("refuses a client without one, and one that another authority has signed", async () => {
    await expect(ask(`${standalone.collectorUrl}/event`, await agentOf(), event("b"))).rejects.toThrow(
      /certificate required|ECONNRESET|socket hang up/,
    );
    const stranger = await (await Authority.make(folder, "strangers")).issue("stranger");
    await expect(
      ask(`${standalone.collectorUrl}/event`, await agentOf(stranger), event("c")),
    ).rejects.toThrow(/unknown ca|ECONNRESET|socket hang up/);
  });

  test("answers plain HTTP with nothing", async () => {
    await expect(fetch(`${standalone.collectorUrl}/debug/vars`)).rejects.toThrow("fetch failed");
  });

  test("gives up a connection that never shakes hands", { timeout: 20_000 }, async () => {
    const socket = connectPlain(Number(new URL(standalone.collectorUrl).port), "127.0.0.1").resume();
    await once(socket, "close");
    expect(socket.bytesRead).toBe(0);
  });

  test("serves a renewed certificate to new connections, and no request fails meanwhile", {
    timeout: 60_000,
  }, async () => {
    const agent = await agentOf(client);
    const before = (await peer()).fingerprint256;
    const second = await authority.issue("second");
    const answers: (number | undefined)[] = [];
    const stop = new AbortController();
    const posting = (async () => {
      for (let turn = 0; !stop.signal.aborted; turn += 1) {
        answers.push((await ask(`${standalone.collectorUrl}/event`, agent, event(`d${turn}`))).status);
        await sleep(50);
      }
    })();
    await copyFile(second.cert, served.cert);
    await copyFile(second.key, served.key);
    await expect.poll(async () => (await peer()).fingerprint256, { timeout: 40_000 }).not.toBe(before);
    stop.abort();
    await posting;
    expect(answers.length).toBeGreaterThan(0);
    expect(answers.filter((status) => status !== 200)).toEqual([]);
    expect(standalone.log()).toContain("certificates renewed");
  });

  test("ends in good order with connections open, and one that shakes hands", async () => {
    const agent = await agentOf(client);
    const silent = connectPlain(Number(new URL(standalone.collectorUrl).port), "127.0.0.1").resume();
    await once(silent, "connect");
    await ask(`${standalone.collectorUrl}/debug/vars`, agent);
    expect(await standalone.stop()).toEqual({ code: 0, signal: null });
  });
});
