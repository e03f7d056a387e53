import { fault, type Finding, type Problem, warning } from "../../domain/diagnosis.ts";
import { type ProjectionName, projectionNames } from "../../domain/projection.ts";
import type { Check, ClockSource } from "../../ports/check.ts";
import { managementOf } from "./backlog.ts";
import { type Address, type Connection, openConnection, unavailable } from "./connection.ts";
import { clockOf, managementChecks } from "./doctor-management.ts";
import { missingPermissions, type Outcome, outcomeOf, publishOutcome } from "./doctor-probes.ts";
import {
  checkVersion,
  DEAD_EXCHANGE,
  deadQueueOf,
  EXCHANGE,
  mismatchOf,
  queuesOf,
  retryQueuesOf,
} from "./topology.ts";

export interface RabbitmqDoctorSettings {
  readonly brokerUrl: string;
  readonly brokerManagementUrl: string;
  readonly certificates?: Address["certificates"];
  readonly timeoutMs: number;
}

/** Checks of a broker, on one connection that is closed with `parts`. They declare nothing that is not there. */
export function rabbitmqChecks(
  settings: RabbitmqDoctorSettings,
  parts: AsyncDisposableStack,
): { readonly checks: readonly Check[]; readonly clock: ClockSource } {
  const { brokerUrl: url, certificates } = settings;
  const management = managementOf({ url, certificates }, settings.brokerManagementUrl);
  const at = new URL(url);
  const place = `${at.protocol}//${at.host}`;
  const user = decodeURIComponent(at.username) || "guest";
  const who = { user, vhost: management.vhost };
  let connection: Connection | undefined;
  const connected = (): Connection => {
    if (connection === undefined) throw new Error("there is no connection");
    return connection;
  };
  const checks: readonly Check[] = [
    {
      name: "broker",
      todo: `see that RabbitMQ runs at ${place} and answers from here: a firewall, a stopped process or an overloaded node keep it from it`,
      run: async () => {
        const beganMs = performance.now();
        let opened: Connection;
        try {
          opened = await openConnection({ url, certificates }, "doctor", settings.timeoutMs);
        } catch (error) {
          return { found: place, problems: [refused(error, place, who)] };
        }
        connection = opened;
        parts.defer(() => opened.close());
        return greeting(opened, { place, ...who, tookMs: performance.now() - beganMs });
      },
    },
    {
      name: "broker permissions",
      after: "broker",
      todo: "see RabbitMQ's log",
      run: async () => {
        // A connection that RabbitMQ blocks is of no use to the other checks.
        const publishing = await openConnection({ url, certificates }, "doctor publish", settings.timeoutMs);
        parts.defer(() => publishing.close());
        const [missing, publish] = await Promise.all([
          missingPermissions(connected()),
          publishOutcome(publishing),
        ]);
        return permissions(publish.code === 403 ? [...missing, "write amq.default"] : missing, publish, who);
      },
    },
    {
      name: "broker topology",
      after: "broker",
      todo: "see RabbitMQ's log; a quorum queue without a leader answers nothing: bring back its nodes",
      run: () => topology(connected()),
    },
    {
      name: "broker queues",
      after: "broker",
      todo: "see RabbitMQ's log; a quorum queue without a leader answers nothing: bring back its nodes",
      run: () => queues(connected()),
    },
    ...managementChecks(management, user),
  ];
  return { checks, clock: clockOf(management) };
}

interface Who {
  readonly user: string;
  readonly vhost: string;
}

function refused(error: unknown, place: string, { user, vhost }: Who): Problem {
  const what = unavailable(error).detail ?? "no connection";
  if (/ACCESS[-_]REFUSED/.test(what) && !/vhost/.test(what)) {
    return fault(
      what,
      `mend user or password in MILLRACE_BROKER_URL, or: rabbitmqctl change_password ${user}`,
    );
  }
  // The driver does not hand on why the server closes the connection in place of opening it.
  const noVhost = what.includes("Expected ConnectionOpenOk");
  if (noVhost || /vhost/.test(what)) {
    return fault(
      noVhost ? `there is no virtual host '${vhost}', or ${user} may not use it` : what,
      `rabbitmqctl add_vhost ${vhost}, and give ${user} its permissions there; or mend the path of MILLRACE_BROKER_URL`,
    );
  }
  if (/certificate|TLS|SSL/i.test(what))
    return fault(what, "see docs/tls.md: the authority, or the host's name");
  return fault(what, `see that RabbitMQ runs at ${place} and answers from here`);
}

function greeting(
  { model }: Connection,
  { place, vhost, tookMs }: { readonly place: string; readonly vhost: string; readonly tookMs: number },
): Finding {
  const { product, version } = model.connection.serverProperties;
  const found = `${place}: ${product} ${version}, virtual host '${vhost}', connected in ${Math.round(tookMs)} ms`;
  try {
    checkVersion({ product, version });
  } catch (error) {
    return { found, problems: [fault(unavailable(error).detail ?? "", "upgrade RabbitMQ")] };
  }
  return { found, problems: [] };
}

function permissions(missing: readonly string[], publish: Outcome<string>, { user, vhost }: Who): Finding {
  const problems: Problem[] = [];
  if (missing.length > 0) {
    const [own, withDefault] = [`'^(${NAMES})$'`, String.raw`'^(amq\.default|${NAMES})$'`];
    problems.push(
      fault(
        `it may not ${missing.join(", ")}`,
        `rabbitmqctl set_permissions -p ${vhost} ${user} ${own} ${withDefault} ${own}`,
      ),
    );
  }
  if (publish.value === "blocked") {
    problems.push(
      fault(
        `RabbitMQ blocks whoever publishes (${String(publish.error)}): events are answered with 503`,
        "see docs/runbooks/millrace-broker-blocked.md: memory or disk of a node has run short",
      ),
    );
  }
  const may = missing.length === 0 ? "may" : "may not";
  return { found: `user ${user} ${may} do all that is needed`, problems };
}

const NAMES = String.raw`metric-collector.*|(accountName|distinctName|hourlyLog)(\..*)?`;

const exchanges = [
  [EXCHANGE, "fanout"],
  [DEAD_EXCHANGE, "direct"],
] as const;

/** What is there is declared as a role would, which changes nothing; what is missing is not. */
async function topology(connection: Connection): Promise<Finding> {
  const outcomes = await Promise.all([
    ...exchanges.map(async ([name, type]) => {
      const there = await outcomeOf(connection, (channel) => channel.checkExchange(name));
      if (there.code !== undefined) return { name: `exchange ${name}`, ...there };
      const same = await outcomeOf(connection, (channel) =>
        channel.assertExchange(name, type, { durable: true }),
      );
      return { name: `exchange ${name}`, ...same };
    }),
    ...projectionNames.flatMap(queuesOf).map(async ({ name, arguments: wanted }) => {
      const there = await outcomeOf(connection, (channel) => channel.checkQueue(name));
      if (there.code !== undefined) return { name: `queue ${name}`, ...there };
      const same = await outcomeOf(connection, (channel) =>
        channel.assertQueue(name, { durable: true, arguments: wanted }),
      );
      return { name: `queue ${name}`, ...same };
    }),
  ]);
  const missing = outcomes.filter(({ code }) => code === 404).map(({ name }) => name);
  const problems: Problem[] = [];
  for (const { name, code, error } of outcomes) {
    // What the user may not is told by the check of permissions.
    if (code === undefined || code === 404 || code === 403) continue;
    const detail = mismatchOf(error)?.detail ?? `${name}: ${unavailable(error).detail}`;
    const cut = detail.lastIndexOf(": ");
    problems.push(fault(detail.slice(0, cut), detail.slice(cut + 2)));
  }
  if (missing.length === outcomes.length) {
    return { found: "nothing is there yet; a collector or a worker declares it when it connects", problems };
  }
  if (missing.length > 0) {
    problems.push(
      fault(
        `${missing.join(", ")}: missing, and what should be in there is lost or refused`,
        "start a collector or a worker anew: each declares what is missing when it connects",
      ),
    );
  }
  return {
    found: `${outcomes.length - missing.length} of ${outcomes.length} exchanges and queues`,
    problems,
  };
}

async function queues(connection: Connection): Promise<Finding> {
  const found = await Promise.all(projectionNames.map((queue) => queueFinding(connection, queue)));
  return {
    found: found.map((one) => one.found).join("; "),
    problems: found.flatMap(({ problems }) => problems),
  };
}

async function queueFinding(connection: Connection, queue: ProjectionName): Promise<Finding> {
  const countsOf = async (name: string) =>
    (await outcomeOf(connection, (channel) => channel.checkQueue(name))).value;
  const names = [queue, deadQueueOf(queue), ...retryQueuesOf(queue)];
  const [own, dead, ...retries] = await Promise.all(names.map(countsOf));
  if (own === undefined) return { found: `${queue}: not there`, problems: [] };
  const { messageCount: ready, consumerCount: consumers } = own;
  const later = retries.reduce((sum, retry) => sum + (retry?.messageCount ?? 0), 0);
  const problems: Problem[] = [];
  if (consumers === 0) {
    const todo = `start \`millrace worker ${queue}\`; if one runs, its /readyz tells why it does not consume`;
    problems.push(
      ready > 0
        ? fault(`${ready} messages wait in ${queue}, and nobody takes them`, todo)
        : warning(`${queue} has no consumer`, todo),
    );
  }
  if (dead !== undefined && dead.messageCount > 0) {
    problems.push(
      warning(
        `${dead.messageCount} dead letters in ${queue}`,
        `millrace dead-letters list --queue ${queue} tells why; then replay, repair or drop them`,
      ),
    );
  }
  return {
    found: `${queue}: ${ready} ready, ${later} to be retried, ${consumers} consumers`,
    problems,
  };
}
