import { randomUUIDv7 } from "node:crypto";
import { once } from "node:events";
import type { FastifyInstance } from "fastify";
import { systemClock } from "./adapters/clock.ts";
import { KeyWatch } from "./adapters/embedded/key-watch.ts";
import { createLogger, createLogSubscriber } from "./adapters/telemetry/pino.ts";
import type { Prometheus } from "./adapters/telemetry/process-metrics.ts";
import { createPrometheus } from "./adapters/telemetry/prometheus.ts";
import { openTracing } from "./adapters/telemetry/tracing.ts";
import type { Variables } from "./adapters/telemetry/tracing-settings.ts";
import { openBroker, openStore } from "./backends.ts";
import { openCertificates } from "./certificates.ts";
import { createCollector } from "./collector/server.ts";
import type { Config } from "./settings.ts";
import { serveConsole } from "./console/console.ts";
import type { LendDeadLetters } from "./console/dead-letters.ts";
import { Processes } from "./console/processes.ts";
import { readAdmin, readOwn } from "./console/reading.ts";
import { sendTo, sendWithin } from "./console/send-event.ts";
import { Addresses, addressesOf, sourceOf } from "./console/sources.ts";
import { accountName } from "./domain/account-name.ts";
import { distinctName } from "./domain/distinct-name.ts";
import { hourlyLog } from "./domain/hourly-log.ts";
import type { ProjectionName } from "./domain/projection.ts";
import { checkHeap } from "./heap.ts";
import { createAdmin } from "./http/admin.ts";
import { KeyRing } from "./http/keys.ts";
import type { Broker } from "./ports/broker.ts";
import type { CertificateSource } from "./ports/certificates.ts";
import type { Store } from "./ports/store.ts";
import type { Tracer } from "./ports/tracer.ts";
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

/**
 * Opens what the roles need, registers each opened part in `parts` (closed in reverse order), and answers the actors to
 * run: one a role, and the admin server. Of the `variables` those of OpenTelemetry are read.
 */
export async function compose(
  roles: readonly Role[],
  config: Config,
  parts: AsyncDisposableStack,
  stop: AbortSignal,
  variables: Variables,
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
  const { keys, watch } = await openKeys(roles, config, emit);
  // Opened first, so that it is closed last. The roles without a broker make no spans.
  const facts = tracingFacts(build, config);
  const tracing = needsBroker ? await openTracing(variables, facts, emit) : undefined;
  const tracer = tracing && parts.use(tracing).tracer;
  const broker = needsBroker ? parts.use(await openBroker(config, emit)) : undefined;
  const store = needsStore ? parts.use(await openStore(config, emit)) : undefined;

  const admin = createAdmin({
    metrics: prometheus.metrics,
    checks: {
      ...(broker === undefined ? {} : { broker: () => broker.ready() }),
      ...(store === undefined ? {} : { store: () => store.ready() }),
    },
    warnings: { keys: () => watch?.fault },
    stop,
    hosts: config,
  });
  const actors = [serverActor("admin", admin, { host: config.host, port: config.adminPort }, emit)];
  if (watch !== undefined) {
    const changed: Parameters<KeyWatch["run"]>[1] = (fresh) => keys.replace(fresh);
    actors.push({ name: "keys", run: (until) => watch.run(systemClock, changed, until) });
  }
  for (const part of [broker, store]) if (part !== undefined) actors.push(lifeline(part));
  const serves = roles.includes("collector") || roles.includes("query");
  const certificates = serves ? openCertificates(config, "server", emit) : undefined;
  const collector = roles.includes("collector")
    ? await createCollector(
        {
          publisher: needed(broker),
          clock: systemClock,
          newId: randomUUIDv7,
          emit,
          tracer,
          keys,
          certificates,
        },
        config,
      )
    : undefined;
  const opened: Opened = {
    broker,
    store,
    collector,
    certificates,
    prometheus,
    role: build.role,
    emit,
    tracer,
    keys,
  };
  for (const role of roles) actors.push(await actorOf(role, config, opened));
  return actors;
}

/** What the roles of a process share. */
interface Opened {
  readonly broker: Broker | undefined;
  readonly store: Store | undefined;
  readonly collector: FastifyInstance | undefined;
  readonly certificates: CertificateSource | undefined;
  readonly prometheus: Prometheus;
  /** Of the process: `standalone` where it has them all. */
  readonly role: string;
  readonly emit: Emit;
  readonly tracer: Tracer | undefined;
  readonly keys: KeyRing;
}

/** The keys in force, and what keeps them so where they are in a file: of the roles that are asked by others. */
async function openKeys(roles: readonly Role[], config: Config, emit: Emit) {
  const asked = roles.includes("collector") || roles.includes("query");
  const watch = asked && config.keysFile !== "" ? await KeyWatch.open(config.keysFile, emit) : undefined;
  if (watch !== undefined) {
    const state = () => ({ failing: watch.fault !== undefined, expiresAtMs: undefined });
    emit("file.watched", { file: "keys", state });
  }
  return { keys: new KeyRing(config, watch?.keys ?? [], () => systemClock.now()), watch };
}

/** Longest wait of a process that ends for its last spans, in milliseconds. */
const FLUSH_MS = 2000;

function tracingFacts(build: { readonly version: string; readonly role: string }, config: Config) {
  const systems = {
    messaging: config.brokerUrl === "embedded:" ? "embedded" : "rabbitmq",
    database: config.storeUrl === "embedded:" ? "sqlite" : "mongodb",
  };
  return { ...build, systems, flushMs: Math.min(FLUSH_MS, config.drainTimeoutMs) };
}

async function actorOf(role: Role, config: Config, opened: Opened): Promise<Actor> {
  const { broker, store, collector, certificates, emit, tracer, keys } = opened;
  const clock = systemClock;
  if (role === "collector") {
    const at = { host: config.host, port: config.collectorPort };
    return serverActor(role, needed(collector), at, emit);
  }
  if (role === "query") {
    const serve = consoleOf(config, opened);
    const query = { store: needed(store), clock, emit, keys, certificates, serveConsole: serve };
    const server = await createQuery(query, config);
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
    tracer,
  };
  return actor(role, emit, (stop) => runWorker(worker, config, stop));
}

/** The live page, with what this process reaches; undefined where it is off. */
function consoleOf(
  config: Config,
  { broker, collector, prometheus, role, emit, keys }: Opened,
): ((server: FastifyInstance) => Promise<void>) | undefined {
  if (config.console === "off") return undefined;
  const sources = config.consoleSources.map(sourceOf);
  const place = { role, host: config.host, address: `${config.host}:${config.adminPort}` };
  const processes = new Processes({
    addresses: new Addresses(sources, addressesOf),
    readOf: ({ address, role: of }) => readAdmin(address, of),
    own: sources.length === 0 ? { place, read: readOwn(prometheus.textOf) } : undefined,
  });
  const sendElsewhere = config.collectorUrl === "" ? undefined : sendTo(config.collectorUrl);
  const parts = {
    processes,
    hasOperator: sources.some((source) => source.role === "operator"),
    sendEvent: collector === undefined ? sendElsewhere : sendWithin(collector),
    lendDeadLetters: lendingOf(config, broker),
    emit,
    keys,
  };
  return (server) => serveConsole(server, parts, { ...config, version });
}

/** A query API without a broker of its own opens one for each use: it must not depend on it, nor wait for it. */
function lendingOf(config: Config, broker: Broker | undefined): LendDeadLetters | undefined {
  if (broker !== undefined) return (use) => use(broker.deadLetters);
  if (config.brokerUrl === "embedded:") return undefined;
  return async (use) => {
    await using lent = await openBroker(config, () => {});
    return await use(lent.deadLetters);
  };
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
