import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { projectionNames } from "../src/domain/projection.ts";
import { mongodbStore } from "../test/contract/mongodb.ts";
import { rabbitmqBroker } from "../test/contract/rabbitmq.ts";
import { SupervisedProcess } from "../test/fault/process.ts";
import { freePorts } from "../test/parts/ports.ts";
import { PartMissing } from "../test/parts/part.ts";
import { openSharedParts } from "../test/parts/shared.ts";
import { tell } from "./tell.ts";

/** What is started for a run, and where it answers. */
export interface System {
  readonly collectorUrl: string;
  readonly queryUrl: string;
  /** Processes that ended by themselves so far. */
  faults(): readonly string[];
}

interface Role {
  readonly name: string;
  /** Of the console. */
  readonly role: string;
  readonly words: readonly string[];
  readonly nodeFlags?: readonly string[];
}

/** As in the original. */
const WORKERS_OF_A_KIND = 3;
const READY_MS = 90_000;
/** So that the check needs few pages. */
const QUERY_MAX_ROWS = 10_000;
/** Those of the documentation, so that its commands work here; others where one of them is taken. */
const usualPorts = [3000, 3001, 9090] as const;

/** One process on files. All that is started is stopped with `parts`. */
export async function startStandaloneSystem(parts: AsyncDisposableStack): Promise<System> {
  return start([{ name: "standalone", role: "standalone", words: ["standalone"] }], parts, {});
}

/** RabbitMQ, a MongoDB and a process for each role, three of each worker. Rejects with PartMissing where the two cannot be had. */
export async function startRealSystem(parts: AsyncDisposableStack): Promise<System> {
  tell("starting RabbitMQ and a MongoDB");
  const { broker, store, missing } = parts.use(await openSharedParts());
  if (broker === undefined || store === undefined) throw new PartMissing(missing.join("\n"));
  tell(`${broker.version} and ${store.version} are there`);
  // Where they are somebody's own servers, nobody else's events are touched.
  const virtualHost = parts.use(await rabbitmqBroker(broker));
  const database = parts.use(await mongodbStore(store.url)());
  const roles: readonly Role[] = [
    // As compose.yaml has it: hundreds of waiting requests are young objects.
    {
      ...{ name: "collector", role: "collector", words: ["collector"] },
      nodeFlags: ["--max-semi-space-size=16", "--max-old-space-size=96"],
    },
    ...projectionNames.flatMap((role) =>
      Array.from({ length: WORKERS_OF_A_KIND }, (_, index) => ({
        ...{ name: `${role}-${index + 1}`, role, words: ["worker", role] },
        nodeFlags: ["--max-semi-space-size=4", "--max-old-space-size=128"],
      })),
    ),
    { name: "query", role: "query", words: ["query"] },
    { name: "sweeper", role: "sweeper", words: ["sweeper"] },
  ];
  return start(roles, parts, {
    MILLRACE_BROKER_URL: virtualHost.brokerUrl,
    MILLRACE_BROKER_MANAGEMENT_URL: broker.managementUrl,
    MILLRACE_STORE_URL: database.url,
  });
}

async function start(
  roles: readonly Role[],
  parts: AsyncDisposableStack,
  variables: Readonly<Record<string, string>>,
): Promise<System> {
  const workingDir = await mkdtemp(join(tmpdir(), "millrace-load-"));
  parts.defer(() => rm(workingDir, { recursive: true, force: true }));
  const others = await freePorts(roles.length + usualPorts.length);
  const usual = (await allFree(usualPorts)) ? usualPorts : others.slice(roles.length);
  const [collectorPort = 0, queryPort = 0, firstAdminPort = 0] = usual;
  const adminPorts = [firstAdminPort, ...others.slice(1)];
  const sources = roles.map(({ role }, index) => `${role}=127.0.0.1:${adminPorts[index]}`);
  const collectorUrl = `http://127.0.0.1:${collectorPort}`;
  const processes = roles.map((role, index) => {
    const adminPort = adminPorts[index] ?? 0;
    const environment = {
      MILLRACE_COLLECTOR_PORT: String(collectorPort),
      MILLRACE_QUERY_PORT: String(queryPort),
      MILLRACE_QUERY_MAX_ROWS: String(QUERY_MAX_ROWS),
      MILLRACE_ADMIN_PORT: String(adminPort),
      MILLRACE_DATA_DIR: workingDir,
      ...(roles.length === 1
        ? {}
        : { MILLRACE_CONSOLE_SOURCES: sources.join(","), MILLRACE_COLLECTOR_URL: collectorUrl }),
      ...variables,
    };
    return new SupervisedProcess({ ...role, environment, adminPort, workingDir });
  });
  parts.defer(async () => void (await Promise.all(processes.map((one) => one.stop()))));
  await Promise.all(processes.map(untilReady));
  return {
    collectorUrl,
    queryUrl: `http://127.0.0.1:${queryPort}`,
    faults: () => processes.flatMap(({ endings }) => endings),
  };
}

async function untilReady(one: SupervisedProcess): Promise<void> {
  const deadline = Date.now() + READY_MS;
  for (;;) {
    const reason = await one.unready();
    if (reason === undefined) return;
    if (Date.now() > deadline || one.restarts.portTaken > 0) {
      throw new Error(`${one.name} is not ready: ${reason}; the end of its log:\n${one.log().slice(-4096)}`);
    }
    await sleep(100);
  }
}

async function allFree(ports: readonly number[]): Promise<boolean> {
  const free = ports.map(async (port) => {
    const server = createServer().listen(port, "127.0.0.1");
    try {
      await once(server, "listening");
    } catch {
      return false;
    }
    server.close();
    return true;
  });
  return (await Promise.all(free)).every(Boolean);
}
