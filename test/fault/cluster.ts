import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type BrokerPart, type Part, startBrokerPart, startStorePart } from "../parts/parts.ts";
import { freePorts } from "../parts/ports.ts";
import { type Link, linkName, links, type Member, members, type PartName } from "./members.ts";
import { SupervisedProcess } from "./process.ts";
import { type Proxy, startProxy } from "./proxy.ts";

/** The whole on real parts, with a proxy in each link of `links`. */
export interface Cluster {
  readonly broker: BrokerPart;
  readonly store: Part;
  readonly processes: ReadonlyMap<string, SupervisedProcess>;
  readonly proxies: ReadonlyMap<string, Proxy>;
  /** Each goes through a proxy. */
  readonly collectorUrls: readonly string[];
  /** Goes straight to the query process. */
  readonly queryUrl: string;
}

/** As many as there may be: each page of a long view costs the store a pass over all of it. */
export const QUERY_MAX_ROWS = 10_000;
const DATABASE = "chaos";
const READY_MS = 120_000;
const ATTEMPTS = 3;

/**
 * Starts all and resolves once every process is ready. What it starts is stopped with `parts`. `bin` is the command that node runs; by
 * default that of this checkout.
 */
export async function startCluster(parts: AsyncDisposableStack, bin?: string): Promise<Cluster> {
  const broker = parts.use(await startBrokerPart());
  const store = parts.use(await startStorePart());
  for (let attempt = 1; ; attempt += 1) {
    const started = parts.use(new AsyncDisposableStack());
    const cluster = await startProcesses({ broker, store, bin }, started);
    const failure = await notReady(cluster);
    if (failure === undefined) return cluster;
    // Another test run may have taken a port since it was found free: with others, then.
    if (attempt === ATTEMPTS || !anyPortTaken(cluster)) throw new Error(failure);
    await started.disposeAsync();
  }
}

async function startProcesses(
  { broker, store, bin }: Pick<Cluster, "broker" | "store"> & { readonly bin: string | undefined },
  started: AsyncDisposableStack,
): Promise<Cluster> {
  const workingDir = await mkdtemp(join(tmpdir(), "millrace-chaos-"));
  started.defer(() => rm(workingDir, { recursive: true, force: true }));
  const urls = { broker: new URL(broker.url), store: new URL(store.url) };

  const free = await freePorts(2 * members.length);
  const ports = new Map(
    members.map(({ name }, index) => [name, { admin: free[2 * index] ?? 0, own: free[2 * index + 1] ?? 0 }]),
  );
  const portOf = (name: string): number => ports.get(name)?.own ?? 0;

  const proxies = new Map<string, Proxy>();
  for (const { name, to } of links) {
    const part = to === "broker" || to === "store" ? urls[to] : undefined;
    proxies.set(name, started.use(await startProxy(part === undefined ? portOf(to) : Number(part.port))));
  }
  const throughProxy = (link: string): string => `127.0.0.1:${proxies.get(link)?.port}`;

  const command = bin === undefined ? {} : { bin };
  const processes = new Map<string, SupervisedProcess>();
  for (const member of members) {
    const { name, words } = member;
    const adminPort = ports.get(name)?.admin ?? 0;
    const environment = {
      MILLRACE_ADMIN_PORT: String(adminPort),
      MILLRACE_COLLECTOR_PORT: String(portOf(name)),
      MILLRACE_QUERY_PORT: String(portOf(name)),
      MILLRACE_QUERY_MAX_ROWS: String(QUERY_MAX_ROWS),
      MILLRACE_SWEEP_INTERVAL_MS: "2000",
      MILLRACE_BROKER_MANAGEMENT_URL: broker.managementUrl,
      ...partVariables(member, urls, throughProxy),
    };
    const one = new SupervisedProcess({ name, words, environment, adminPort, workingDir, ...command });
    processes.set(name, one);
    started.defer(async () => void (await one.stop()));
  }
  const collectors = links.filter(({ from }) => from === "client");
  return {
    broker,
    store,
    processes,
    proxies,
    collectorUrls: collectors.map(({ name }) => `http://${throughProxy(name)}`),
    queryUrl: `http://127.0.0.1:${portOf("query")}`,
  };
}

/** The part's address with the member's own proxy in its place. */
function partVariables(
  { name, needs }: Member,
  urls: Readonly<Record<PartName, URL>>,
  throughProxy: (link: Link["name"]) => string,
): Readonly<Record<string, string>> {
  const variables: Record<string, string> = {};
  for (const part of needs) {
    const url = new URL(urls[part]);
    url.host = throughProxy(linkName(name, part));
    if (part === "store") {
      url.pathname = `/${DATABASE}`;
      // Else the driver asks the server for its address and goes past the proxy.
      url.searchParams.set("directConnection", "true");
    }
    variables[part === "store" ? "MILLRACE_STORE_URL" : "MILLRACE_BROKER_URL"] = url.href;
  }
  return variables;
}

/** Resolves to why a process is not ready, once it has had its time; to undefined when all are. */
async function notReady(cluster: Cluster): Promise<string | undefined> {
  const deadline = Date.now() + READY_MS;
  for (const one of cluster.processes.values()) {
    for (;;) {
      const reason = await one.unready();
      if (reason === undefined) break;
      if (Date.now() > deadline || anyPortTaken(cluster)) {
        return `${one.name} is not ready: ${reason}; the end of its log:\n${one.log().slice(-4096)}`;
      }
      await sleep(100);
    }
  }
  return anyPortTaken(cluster) ? "a port was taken" : undefined;
}

function anyPortTaken({ processes }: Cluster): boolean {
  return Array.from(processes.values()).some(({ restarts }) => restarts.portTaken > 0);
}
