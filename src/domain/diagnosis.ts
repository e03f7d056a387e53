import { hourWindow } from "./retention.ts";

/** What `millrace doctor` looks at, in the order in which it tells it. `of` is where a check is made. */
export const checkTable = {
  settings: { of: "everywhere", looksAt: "Whether the settings can be read; which are not the defaults." },
  heap: {
    of: "everywhere",
    looksAt:
      "Node's heap against `MILLRACE_UNCONFIRMED_MAX_BYTES`, and against the memory limit of the container.",
  },
  "open files": {
    of: "everywhere",
    looksAt: "How many files and connections a process may have open.",
  },
  "data folder": {
    of: "an embedded broker or store",
    looksAt:
      "Whether the folder is there or can be made, whose it is and who may enter it; the free space of its disk against `MILLRACE_BACKLOG_MAX_BYTES`.",
  },
  "broker file": {
    of: "an embedded broker",
    looksAt:
      "Whether `broker.sqlite` can be opened and is sound (`PRAGMA quick_check`), its write-ahead log, its size against `MILLRACE_BACKLOG_MAX_BYTES`, the backlog and dead letters of each queue.",
  },
  "store file": {
    of: "an embedded store",
    looksAt:
      "Whether `store.sqlite` can be opened and is sound (`PRAGMA quick_check`), its write-ahead log, and whether a sweeper holds the lease or what it deletes stays.",
  },
  broker: {
    of: "RabbitMQ",
    looksAt: "Whether a connection opens and how long that takes; RabbitMQ's version; the virtual host.",
  },
  "broker permissions": {
    of: "RabbitMQ",
    looksAt:
      "Whether the user may configure, write and read what Millrace declares, and whether RabbitMQ blocks whoever publishes.",
  },
  "broker topology": {
    of: "RabbitMQ",
    looksAt: "Whether the exchanges and queues are there, with the arguments that Millrace declares.",
  },
  "broker management": {
    of: "RabbitMQ",
    looksAt: "Whether the management API answers this user, and has statistics.",
  },
  "broker nodes": {
    of: "RabbitMQ, by its management API",
    looksAt:
      "Whether every node runs, none in an alarm of memory or disk; whether each quorum queue has a majority of its members, and each binding is there.",
  },
  "broker queues": {
    of: "RabbitMQ",
    looksAt: "What waits in each queue, its dead letters, and whether it has consumers.",
  },
  store: {
    of: "MongoDB",
    looksAt: "Whether the server is found and how long that takes; its wire version.",
  },
  "store schema": {
    of: "MongoDB",
    looksAt: "Whether the collections and indexes are there, as Millrace makes them.",
  },
  "store write": {
    of: "MongoDB",
    looksAt: "Whether a document is written to a majority, in the journal, and read; how long that takes.",
  },
  "store upkeep": {
    of: "MongoDB",
    looksAt:
      "Whether a sweeper holds the lease or what it deletes stays, whether a restore was cut short, and since when changes wait for the merge of months.",
  },
  clock: {
    of: "RabbitMQ or MongoDB",
    looksAt: "This machine's clock against those of the servers, as far as they tell theirs.",
  },
  keys: {
    of: "`MILLRACE_KEYS_FILE`",
    looksAt:
      "Whether the file can be read; keys that have expired or soon will; whether any key is for admins.",
  },
  certificates: {
    of: "settings that name certificates",
    looksAt: "Whether the files can be read and fit each other; when they expire.",
  },
  processes: {
    of: "`MILLRACE_CONSOLE_SOURCES`",
    looksAt: "Whether each process is ready, asked at its admin port.",
  },
} as const satisfies Record<string, { readonly of: string; readonly looksAt: string }>;

export type CheckName = keyof typeof checkTable;

/** What is not as it should be. A fault is what loses, refuses or holds up events, or keeps a role from its work. */
export interface Problem {
  readonly level: "warning" | "fault";
  readonly what: string;
  /** What to do, in words for whoever is on call. */
  readonly todo: string;
}
export interface Finding {
  /** Versions and figures; without credentials. */
  readonly found: string;
  readonly problems: readonly Problem[];
  /** Set where there was no way to look. */
  readonly skipped?: true;
}
/** A check is skipped where it cannot be made without what another found at fault. */
export type Level = "ok" | "warning" | "fault" | "skipped";

export function levelOf(problems: readonly Problem[]): Exclude<Level, "skipped"> {
  if (problems.some(({ level }) => level === "fault")) return "fault";
  return problems.length > 0 ? "warning" : "ok";
}

export const warning = (what: string, todo: string): Problem => ({ level: "warning", what, todo });
export const fault = (what: string, todo: string): Problem => ({ level: "fault", what, todo });

/** Puts *** in the place of these secrets, and of every spelling of the passwords in those that are URLs. */
export function maskOf(secrets: readonly string[]): (text: string) => string {
  const spellings = new Set(secrets.flatMap((secret) => [secret, ...passwordsIn(secret)]));
  const longestFirst = [...spellings].filter((one) => one !== "").toSorted((a, b) => b.length - a.length);
  return (text) => longestFirst.reduce((masked, one) => masked.replaceAll(one, "***"), text);
}

/** As it is in the URL, and as it is meant. */
function passwordsIn(url: string): readonly string[] {
  const password = /^[a-z+]+:\/\/[^/?#]*?:([^/?#]*)@/.exec(url)?.[1];
  if (password === undefined) return [];
  try {
    const meant = decodeURIComponent(password);
    return [password, meant, encodeURIComponent(meant)];
  } catch {
    return [password];
  }
}

const BYTE_UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"] as const;

export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < BYTE_UNITS.length - 1; unit += 1) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${BYTE_UNITS[unit] ?? ""}`;
}

export const timeOf = (ms: number): string => new Date(ms).toISOString();

/** As the alert MillraceCompactionLag has it. */
const LATE_MS = 15 * 60_000;

/** What a sweep had to see to before this instant is late: it pauses between two, and does not hold the lease meanwhile. */
export const lateAt = (nowMs: number, sweepIntervalMs: number): number =>
  nowMs - Math.max(LATE_MS, 2 * sweepIntervalMs);

export interface SweepFacts {
  /** Undefined where there is no lease, as a sweeper leaves it that stops in order. */
  readonly leaseUntilMs: number | undefined;
  /** The oldest of the hourly log; undefined where it is empty. */
  readonly oldestSecond: number | undefined;
}

/** Undefined where a sweeper is at work, or would have nothing to delete that is late. */
export function sweeperProblem(
  { leaseUntilMs, oldestSecond }: SweepFacts,
  lateAtMs: number,
  todo: string,
): Problem | undefined {
  if (leaseUntilMs !== undefined) {
    if (leaseUntilMs >= lateAtMs) return undefined;
    return warning(
      `no sweeper has held the lease since ${timeOf(leaseUntilMs)}; what is too old stays`,
      todo,
    );
  }
  if (oldestSecond === undefined || oldestSecond > hourWindow(lateAtMs).after) return undefined;
  return warning(
    `no sweeper has the lease, and what is too old stays: the hourly log goes back to ${timeOf(oldestSecond * 1000)}`,
    todo,
  );
}

const DAY_MS = 86_400_000;
/** How long before an end is told, in milliseconds. */
export const SOON_MS = 14 * DAY_MS;
