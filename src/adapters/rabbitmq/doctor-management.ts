import { bytesText, fault, type Finding, type Problem, warning } from "../../domain/diagnosis.ts";
import { projectionNames } from "../../domain/projection.ts";
import type { Check, ClockSource } from "../../ports/check.ts";
import { answerOf, type Management } from "./backlog.ts";
import { DEAD_EXCHANGE, deadQueueOf, EXCHANGE, queuesOf } from "./topology.ts";

interface Node {
  readonly name: string;
  readonly running?: boolean;
  readonly mem_alarm?: boolean;
  readonly disk_free_alarm?: boolean;
  readonly mem_used?: number;
  readonly disk_free?: number;
}
interface Queue {
  readonly name: string;
  readonly members?: readonly string[];
  readonly online?: readonly string[];
}
interface Binding {
  readonly source: string;
  readonly destination: string;
}

export function managementChecks(management: Management, user: string): readonly Check[] {
  return [
    {
      name: "broker management",
      todo: "see RabbitMQ's log",
      run: async (stop) => {
        const place = management.url.origin;
        try {
          const overview = (await ask(management, "api/overview", stop)) as {
            readonly disable_stats?: boolean;
            readonly management_version?: string;
          };
          const found = `${place}: version ${overview.management_version}`;
          return { found, problems: overview.disable_stats === true ? [noStatistics] : [] };
        } catch (error) {
          return { found: place, problems: [unanswered(error, user)] };
        }
      },
    },
    {
      name: "broker nodes",
      todo: "see RabbitMQ's log",
      run: async (stop) => {
        try {
          return await nodes(management, stop);
        } catch (error) {
          return unknown(error);
        }
      },
    },
  ];
}

const unknown = (error: unknown): Finding => ({
  found: `not known without the management API: ${wordsOf(error)}`,
  problems: [],
  skipped: true,
});

/** The management API tells the second. */
export const clockOf = (management: Management): ClockSource => ({
  of: "the broker",
  read: async (stop) => {
    const { date } = await answer(management, "api/overview", stop).catch(() => ({ date: undefined }));
    const atMs = Date.parse(date ?? "");
    return Number.isNaN(atMs) ? undefined : { atMs, withinMs: 1000 };
  },
});

const wordsOf = (error: unknown): string =>
  error instanceof Error ? error.message || error.name : String(error);

const answer = (management: Management, path: string, stop: AbortSignal) =>
  answerOf(new URL(path, management.url), {
    ...management.certificates?.(),
    headers: { authorization: management.authorization },
    signal: stop,
  });

async function ask(management: Management, path: string, stop: AbortSignal): Promise<unknown> {
  const { status, body } = await answer(management, path, stop);
  if (status !== 200) throw new Error(`it answers ${status}`);
  return JSON.parse(body);
}

const without = "millrace_queue_messages has no figures, and the operator scales nothing by them";
const noStatistics = warning(
  `its statistics are off: ${without}`,
  "set management_agent.disable_metrics_collector = false in rabbitmq.conf",
);

function unanswered(error: unknown, user: string): Problem {
  const what = `${wordsOf(error)}: ${without}`;
  if (/answers 40[13]/.test(what)) return warning(what, `rabbitmqctl set_user_tags ${user} monitoring`);
  return warning(
    what,
    "rabbitmq-plugins enable rabbitmq_management, or set MILLRACE_BROKER_MANAGEMENT_URL to where it is",
  );
}

async function nodes(management: Management, stop: AbortSignal): Promise<Finding> {
  const vhost = encodeURIComponent(management.vhost);
  const [all, queues, bindings] = (await Promise.all([
    ask(management, "api/nodes?columns=name,running,mem_alarm,disk_free_alarm,mem_used,disk_free", stop),
    ask(management, `api/queues/${vhost}?columns=name,members,online`, stop),
    ask(management, `api/bindings/${vhost}`, stop),
  ])) as [readonly Node[], readonly Queue[], readonly Binding[]];
  const problems = [
    ...all.flatMap(nodeProblems),
    ...majorityProblems(queues),
    ...bindingProblems(queues, bindings),
  ];
  const figures = ({ mem_used: used, disk_free: free }: Node): string =>
    used === undefined || free === undefined
      ? "runs"
      : `${bytesText(used)} of memory in use, ${bytesText(free)} of disk free`;
  const found = all.map((node) => `${node.name}: ${node.running === false ? "is down" : figures(node)}`);
  return { found: found.join("; "), problems };
}

export function nodeProblems({ name, running, ...alarms }: Node): readonly Problem[] {
  if (running === false) {
    return [
      warning(
        `node ${name} does not run`,
        "start it: with another node down, queues may lose their majority",
      ),
    ];
  }
  const blocked = "until it is over, events are answered with 503";
  return [
    ...(alarms.mem_alarm === true
      ? [
          fault(
            `node ${name} is in a memory alarm: ${blocked}`,
            "give it more memory, or see why the backlog grows (docs/runbooks/millrace-broker-blocked.md)",
          ),
        ]
      : []),
    ...(alarms.disk_free_alarm === true
      ? [
          fault(
            `node ${name} is in a disk alarm: ${blocked}`,
            "make room on its disk (docs/runbooks/millrace-broker-blocked.md)",
          ),
        ]
      : []),
  ];
}

export function majorityProblems(queues: readonly Queue[]): readonly Problem[] {
  const ours = new Set(projectionNames.flatMap(queuesOf).map(({ name }) => name));
  return queues.flatMap(({ name, members = [], online = [] }) => {
    if (!ours.has(name) || online.length >= members.length) return [];
    const what = `queue ${name} has ${online.length} of its ${members.length} members online`;
    const away = members.filter((one) => !online.includes(one)).join(", ");
    return online.length * 2 > members.length
      ? [warning(what, `bring back ${away}`)]
      : [fault(`${what}, which is no majority: it takes nothing and gives nothing`, `bring back ${away}`)];
  });
}

/** Between an exchange and a queue that are both there. */
export function bindingProblems(queues: readonly Queue[], bindings: readonly Binding[]): readonly Problem[] {
  const wanted = projectionNames.flatMap((queue) => [
    [EXCHANGE, queue] as const,
    [DEAD_EXCHANGE, deadQueueOf(queue)] as const,
  ]);
  return wanted.flatMap(([source, destination]) => {
    const there = queues.some(({ name }) => name === destination);
    const bound = bindings.some((one) => one.source === source && one.destination === destination);
    if (!there || bound) return [];
    return [
      fault(
        `queue ${destination} is not bound to ${source}: what is published now does not reach it`,
        "start a collector or a worker anew: each makes the bindings when it connects",
      ),
    ];
  });
}
