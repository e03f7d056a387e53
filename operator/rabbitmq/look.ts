import { type Census, COLUMNS, type Row, rowOf, rowsOf } from "./answers.ts";
import { FiguresError } from "./fault.ts";
import { type Answer, type Management, notUnderstood, type Question } from "./management.ts";

export interface Wanted {
  readonly vhost: string;
  readonly name: string;
  /** Of dead letters: it need not be there. */
  readonly optional: boolean;
}

/** What one look at a broker has brought. */
export interface Look {
  /** When the broker had answered, in milliseconds since 1970. */
  readonly atMs: number;
  readonly counts: boolean;
  /** By `keyOf`; all queues of the broker where it was asked for a list. */
  readonly rows: ReadonlyMap<string, Row>;
  /** By `keyOf`, why a queue that was wanted tells no figures. */
  readonly faults: ReadonlyMap<string, FiguresError>;
  /** Whether a queue that is in neither may be said not to be there. */
  tells(key: string): boolean;
}

export interface Looking {
  readonly management: Management;
  /** Without credentials, for faults. */
  readonly url: string;
  readonly username: string;
  readonly deadline: AbortSignal;
}

/** Of all strings, no other queue has the same. */
export const keyOf = ({ vhost, name }: { readonly vhost: string; readonly name: string }): string =>
  JSON.stringify([vhost, name]);

type Rows = Map<string, Row>;
type Faults = Map<string, FiguresError>;
type Form = "statistics" | "length";

/** Asks for the length itself, which the queue is asked for then, in place of statistics: no consumers, no totals. */
const FORMS: Readonly<Record<Form, string>> = {
  statistics: `columns=${COLUMNS}`,
  length: `columns=${COLUMNS}&disable_stats=true&enable_queue_totals=true`,
};

/** So many queues of a list cost a broker as much as one that is asked for by itself; measured on 4.0.5 and 4.3.6 with 2,000. */
const LISTED_FOR_ONE = 10;
/** Asked for one after the other, more would take too long. */
const MOST_SINGLE = 60;

/**
 * Asks for the queues that are wanted, in one list of all or, where that costs the broker less, one by one. A list is not asked
 * for in pages: each of them has the broker go through all queues, and a queue can slip from one to another meanwhile.
 * Rejects with a FiguresError where that concerns the whole broker.
 */
export async function lookAt(
  looking: Looking,
  census: Census,
  wanted: ReadonlyMap<string, Wanted>,
): Promise<Omit<Look, "atMs">> {
  const few = wanted.size <= MOST_SINGLE && wanted.size * LISTED_FOR_ONE <= census.queues;
  const single = few && Array.from(wanted.values()).every(hasPath);
  const ask = single ? askSingly : askForList;
  const { rows, faults } = await ask(looking, wanted, census.statistics ? "statistics" : "length");
  if (census.statistics) await addLengths(looking, rows, silentOf(rows, wanted), ask);
  // A single queue tells its length without statistics since RabbitMQ 4.0 only.
  if (single) await addLengths(looking, rows, silentOf(rows, wanted), askForList);
  for (const [key, queue] of silentOf(rows, wanted)) faults.set(key, silent(queue));
  await explainMissing(looking, rows, faults, wanted);
  const { counts } = census;
  return { counts, rows, faults, tells: (key) => !single || wanted.has(key) };
}

type Ask = (
  looking: Looking,
  wanted: ReadonlyMap<string, Wanted>,
  form: Form,
) => Promise<{ readonly rows: Rows; readonly faults: Faults }>;

const askForList: Ask = async ({ management, url, deadline, username }, _wanted, form) => {
  const question = { verb: "list", resource: "queues", path: `queues?${FORMS[form]}` } as const;
  const answer = await management.ask(question, deadline);
  if (answer.kind === "refused") throw refused(url, username, answer.reason);
  const rows = answer.kind === "found" ? rowsOf(answer.body) : undefined;
  if (rows === undefined) throw notUnderstood(url, "does not answer with a list of queues");
  return { rows: new Map(rows.map((row) => [keyOf(row), row])), faults: new Map() };
};

const askSingly: Ask = async ({ management, url, deadline, username }, wanted, form) => {
  const rows: Rows = new Map();
  const faults: Faults = new Map();
  for (const [key, queue] of wanted) {
    const answer = await management.ask(singleQuestion(queue, form), deadline);
    const row = answer.kind === "found" ? rowOf(answer.body) : undefined;
    if (row !== undefined) rows.set(key, row);
    else if (answer.kind === "refused") faults.set(key, refused(url, username, answer.reason, queue.vhost));
    else if (answer.kind === "found") throw notUnderstood(url, "does not answer with a queue");
  }
  return { rows, faults };
};

/** Whether a queue can be asked for by itself: in a URL these names would lead elsewhere, also where they are encoded. */
const hasPath = ({ vhost, name }: Wanted): boolean => ![vhost, name].some((one) => /^\.{1,2}$/.test(one));

const singleQuestion = ({ vhost, name }: Wanted, form: Form): Question => ({
  verb: "get",
  resource: "queues",
  path: `queues/${encodeURIComponent(vhost)}/${encodeURIComponent(name)}?${FORMS[form]}`,
});

/** Those that are there and do not tell how long they are, as a queue that was just made. */
function silentOf(rows: Rows, wanted: ReadonlyMap<string, Wanted>): ReadonlyMap<string, Wanted> {
  return new Map(
    Array.from(wanted).filter(([key]) => {
      const row = rows.get(key);
      return row !== undefined && (row.ready === undefined || row.unacknowledged === undefined);
    }),
  );
}

async function addLengths(
  looking: Looking,
  rows: Rows,
  queues: ReadonlyMap<string, Wanted>,
  ask: Ask,
): Promise<void> {
  if (queues.size === 0) return;
  const lengths = await ask(looking, queues, "length");
  for (const key of queues.keys()) {
    const row = rows.get(key);
    const length = lengths.rows.get(key);
    if (row === undefined || length === undefined) continue;
    rows.set(key, { ...row, ready: length.ready, unacknowledged: length.unacknowledged });
  }
}

/** Of each queue that is wanted and not there: whether it is the queue, its virtual host, or the right to see that. */
async function explainMissing(
  looking: Looking,
  rows: Rows,
  faults: Faults,
  wanted: ReadonlyMap<string, Wanted>,
): Promise<void> {
  const missing = Array.from(wanted).filter(
    ([key, { optional }]) => !optional && !rows.has(key) && !faults.has(key),
  );
  const vhosts = new Map<string, Answer>();
  for (const [key, queue] of missing) {
    const answer = vhosts.get(queue.vhost) ?? (await askForVhost(looking, queue.vhost));
    vhosts.set(queue.vhost, answer);
    faults.set(key, missingFault(looking, queue, answer));
  }
}

/** An exchange that each virtual host has; the host itself, an administrator alone may ask for. */
function askForVhost({ management, deadline }: Looking, vhost: string): Promise<Answer> {
  const path = `exchanges/${encodeURIComponent(vhost)}/amq.direct?columns=name&disable_stats=true`;
  return management.ask({ verb: "get", resource: "exchanges", path }, deadline);
}

function missingFault({ url, username }: Looking, { vhost, name }: Wanted, answer: Answer): FiguresError {
  if (answer.kind === "refused") return refused(url, username, answer.reason, vhost);
  if (answer.kind === "found") {
    return new FiguresError("QueueNotFound", `there is no queue ${name} in virtual host ${vhost}`);
  }
  const message = `there is no virtual host ${vhost}, or user ${username} may not see it: give it a permission there`;
  return new FiguresError("VhostNotFound", message);
}

function silent({ name }: Wanted): FiguresError {
  const message = `RabbitMQ does not tell how long queue ${name} is: it was just made, its node is down, or it is a stream`;
  return new FiguresError("NotUnderstood", message);
}

/** `vhost` where it is known that the credentials hold elsewhere. */
export function refused(url: string, username: string, reason: string, vhost?: string): FiguresError {
  const mend =
    vhost === undefined
      ? "are user and password those of RabbitMQ, and has the user the tag management?"
      : `give the user a permission in virtual host ${vhost}`;
  const why = reason === "" ? "" : ` (${reason})`;
  return new FiguresError(
    "Unauthorized",
    `the management API at ${url} refuses user ${username}${why}: ${mend}`,
  );
}
