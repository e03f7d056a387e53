import { randomUUIDv7 } from "node:crypto";
import { once } from "node:events";
import { getHeapStatistics } from "node:v8";
import { systemClock } from "./adapters/clock.ts";
import { openEmbeddedBroker } from "./adapters/embedded/broker.ts";
import { openEmbeddedStore } from "./adapters/embedded/store.ts";
import { openMongodbStore } from "./adapters/mongodb/store.ts";
import { openRabbitmqBroker } from "./adapters/rabbitmq/broker.ts";
import { createLogger, createLogSubscriber } from "./adapters/telemetry/pino.ts";
import { createPrometheus } from "./adapters/telemetry/prometheus.ts";
import { createCollector } from "./collector/server.ts";
import { type Config, variableOf } from "./config.ts";
import { accountName } from "./domain/account-name.ts";
import { distinctName } from "./domain/distinct-name.ts";
import { hourlyLog } from "./domain/hourly-log.ts";
import type { ProjectionName } from "./domain/projection.ts";
import { MillraceError } from "./errors.ts";
import { createAdmin } from "./http/admin.ts";
import type { Broker } from "./ports/broker.ts";
import type { Store } from "./ports/store.ts";
import { createQuery } from "./query/server.ts";
import { type Actor, serverActor } from "./run.ts";
import type { Emit } from "./signals.ts";
import { runSweeper } from "./sweeper/sweeper.ts";
import { withKnownNames } from "./worker/known-names.ts";
import { version } from "./version.ts";
import { runWorker } from "./worker/worker.ts";

const projections = { accountName, distinctName, hourlyLog } as const;

/** What a process may be. Standalone is all of them at once. */
export type Role = "collector" | "query" | "sweeper" | ProjectionName;
export const allRoles: readonly Role[] = [
  "accountName",
  "distinctName",
  "hourlyLog",
  "sweeper",
  "query",
  "collector",
];

export async function openBroker(config: Config, emit: Emit): Promise<Broker> {
  if (config.brokerUrl === "embedded:") return openEmbeddedBroker(config, systemClock);
  return openRabbitmqBroker(config, systemClock, emit);
}

export async function openStore(config: Config): Promise<Store> {
  if (config.storeUrl === "embedded:") return openEmbeddedStore(config.dataDir);
  return openMongodbStore(config, systemClock);
}

/**
 * Opens what the roles need, registers each opened part in `parts` (closed in reverse order), and answers the actors to
 * run: one a role, and the admin server.
 */
export async function compose(
  roles: readonly Role[],
  config: Config,
  parts: AsyncDisposableStack,
  stop: AbortSignal,
): Promise<readonly Actor[]> {
  if (roles.includes("collector")) checkHeap(config);
  const logged = createLogSubscriber(createLogger(config));
  const needsStore = roles.some((role) => role !== "collector");
  const needsBroker = roles.some((role) => role === "collector" || role in projections);
  const build = { version, role: roles.length === 1 ? (roles[0] ?? "") : "standalone" };
  const prometheus = createPrometheus(
    { ...config, ...build },
    needsBroker ? (queue) => needed(broker).backlog(queue) : undefined,
  );
  const emit: Emit = (name, fact) => {
    prometheus.emit(name, fact);
    logged(name, fact);
  };
  const broker = needsBroker ? parts.use(await openBroker(config, emit)) : undefined;
  const store = needsStore ? parts.use(await openStore(config)) : undefined;

  const admin = createAdmin({
    metrics: prometheus.metrics,
    checks: {
      ...(broker === undefined ? {} : { broker: () => broker.ready() }),
      ...(store === undefined ? {} : { store: () => store.ready() }),
    },
    stop,
  });
  const actors = [serverActor("admin", admin, { host: config.host, port: config.adminPort }, emit)];
  for (const part of [broker, store]) if (part !== undefined) actors.push(lifeline(part));
  for (const role of roles) actors.push(await actorOf(role, config, broker, store, emit));
  return actors;
}

/** What the process is taken to need beside the requests in hand, and for each byte of theirs: estimates on the high side. */
const HEAP_AT_REST_BYTES = 64 * 1024 * 1024;
const HEAP_A_BYTE = 3;

/** @throws MillraceError INVALID_SETTING where the bound on requests in hand is not one that the heap can hold. */
function checkHeap({ unconfirmedMaxBytes }: Config): void {
  const wanted = HEAP_AT_REST_BYTES + HEAP_A_BYTE * unconfirmedMaxBytes;
  const limit = getHeapStatistics().heap_size_limit;
  if (wanted <= limit) return;
  throw new MillraceError(
    "INVALID_SETTING",
    `${variableOf("unconfirmedMaxBytes")} is ${unconfirmedMaxBytes}; node's heap of ${limit} bytes holds at most ` +
      `${Math.floor((limit - HEAP_AT_REST_BYTES) / HEAP_A_BYTE)}: lower it, or raise node's --max-old-space-size`,
  );
}

async function actorOf(
  role: Role,
  config: Config,
  broker: Broker | undefined,
  store: Store | undefined,
  emit: Emit,
): Promise<Actor> {
  const clock = systemClock;
  if (role === "collector") {
    const server = await createCollector(
      { publisher: needed(broker), clock, newId: randomUUIDv7, emit },
      config,
    );
    return serverActor(role, server, { host: config.host, port: config.collectorPort }, emit);
  }
  if (role === "query") {
    const server = await createQuery({ store: needed(store), clock, emit }, config);
    return serverActor(role, server, { host: config.host, port: config.queryPort }, emit);
  }
  if (role === "sweeper") {
    const sweeper = { store: needed(store), clock, holder: randomUUIDv7(), emit };
    return actor(role, emit, (stop) => runSweeper(sweeper, config, stop));
  }
  const worker = {
    consumer: needed(broker),
    store: withKnownNames(needed(store), config.knownNames),
    projection: projections[role],
    clock,
    emit,
  };
  return actor(role, emit, (stop) => runWorker(worker, config, stop));
}

function actor(name: string, emit: Emit, run: (stop: AbortSignal) => Promise<void>): Actor {
  return {
    name,
    async run(stop) {
      emit("role.started", { role: name });
      await run(stop);
      emit("role.stopped", { role: name });
    },
  };
}

/** Ends with an error when a part has failed for good: a process must not sit idle and look alive. */
function lifeline(part: Broker | Store): Actor {
  return {
    name: "publish" in part ? "broker" : "store",
    run: (stop) => Promise.race([part.ended, once(stop, "abort").then(() => undefined)]),
  };
}

function needed<T>(part: T | undefined): T {
  if (part === undefined) throw new Error("compose opened no part for this role");
  return part;
}
