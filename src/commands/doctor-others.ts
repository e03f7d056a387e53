import { fault, type Finding, type Problem, warning } from "../domain/diagnosis.ts";
import type { Check, ClockSource } from "../ports/check.ts";
import type { Config } from "../settings.ts";

/** A clock that is off by more, in milliseconds, is told. */
const CLOCK_OFF_MS = 1000;
const SYNCHRONISE = "synchronise the clocks of both machines (timedatectl, chronyc tracking)";

/** What is told is the least that a clock must be off, whatever of the time between the question and the answer it was read at. */
export function clockCheck(
  sources: readonly ClockSource[],
  { maxFutureMs }: Pick<Config, "maxFutureMs">,
  now: () => number,
): Check {
  return {
    name: "clock",
    todo: SYNCHRONISE,
    run: async (stop) => {
      const findings = await Promise.all(
        sources.map(async (source) => clockFinding(source, { maxFutureMs, now, stop })),
      );
      const told = findings.flatMap(({ found }) => (found === "" ? [] : [found]));
      const problems = findings.flatMap((one) => one.problems);
      if (told.length === 0) return { found: "no server tells its time", problems, skipped: true };
      return { found: told.join("; "), problems };
    },
  };
}

interface ClockParts {
  readonly maxFutureMs: number;
  readonly now: () => number;
  readonly stop: AbortSignal;
}

async function clockFinding(source: ClockSource, { maxFutureMs, now, stop }: ClockParts): Promise<Finding> {
  const askedMs = now();
  const told = await source.read(stop).catch(() => undefined);
  const answeredMs = now();
  if (told === undefined) return { found: "", problems: [] };
  const { atMs, withinMs } = told;
  // Its time was somewhere in [atMs, atMs + withinMs], at some moment between the two of ours.
  const ahead = Math.max(0, atMs - answeredMs);
  const behind = Math.max(0, askedMs - (atMs + withinMs));
  const offMs = Math.max(ahead, behind);
  const words = `${source.of}'s clock is at least ${(offMs / 1000).toFixed(1)} s ${ahead > 0 ? "ahead of" : "behind"} this one`;
  if (offMs <= CLOCK_OFF_MS)
    return { found: `${source.of}'s is less than a second off, as far as it tells`, problems: [] };
  if (offMs > maxFutureMs) {
    return {
      found: `${source.of}'s is off`,
      problems: [fault(`${words}, which is more than MILLRACE_MAX_FUTURE_MS`, SYNCHRONISE)],
    };
  }
  return { found: `${source.of}'s is off`, problems: [warning(words, SYNCHRONISE)] };
}

export interface ProcessSource {
  readonly role: string;
  readonly host: string;
  readonly port: string;
}

/** Asks each process whether it is ready, at every address that its host has. */
export function processesCheck(
  sources: readonly ProcessSource[],
  addressesOf: (host: string) => Promise<readonly string[]>,
): Check {
  return {
    name: "processes",
    todo: "see MILLRACE_CONSOLE_SOURCES",
    run: async (stop) => {
      const asked = (await Promise.all(sources.map((source) => ask(source, addressesOf, stop)))).flat();
      const problems = asked.flatMap(({ problem }) => (problem === undefined ? [] : [problem]));
      const found = sources.map(({ role, host, port }) => {
        const at = asked.filter((one) => one.source.host === host && one.source.port === port);
        return `${role}: ${at.filter(({ problem }) => problem === undefined).length} of ${at.length} ready`;
      });
      return { found: found.join("; "), problems };
    },
  };
}

interface Asked {
  readonly source: ProcessSource;
  readonly problem: Problem | undefined;
}
/** Longest wait for one process, in milliseconds: /readyz itself gives each of its checks two seconds. */
const READY_TIMEOUT_MS = 3000;

async function ask(
  source: ProcessSource,
  addressesOf: (host: string) => Promise<readonly string[]>,
  stop: AbortSignal,
): Promise<readonly Asked[]> {
  const { role, host, port } = source;
  let addresses: readonly string[];
  try {
    addresses = await addressesOf(host);
  } catch (error) {
    const what = `${role}: ${host} has no address: ${wordsOf(error)}`;
    return [{ source, problem: warning(what, `start it, or mend ${host} in MILLRACE_CONSOLE_SOURCES`) }];
  }
  return Promise.all(
    addresses.map(async (address) => {
      const at = `${address.includes(":") ? `[${address}]` : address}:${port}`;
      const why = await whyNotReady(`http://${at}/readyz`, stop);
      if (why === undefined) return { source, problem: undefined };
      const todo =
        "mend what it names, then it is ready by itself; if it does not answer at all, see whether it runs and its log";
      return { source, problem: fault(`${role} at ${at} is not ready: ${why}`, todo) };
    }),
  );
}

async function whyNotReady(url: string, stop: AbortSignal): Promise<string | undefined> {
  try {
    const signal = AbortSignal.any([stop, AbortSignal.timeout(READY_TIMEOUT_MS)]);
    const answer = await fetch(url, { signal, redirect: "error" });
    if (answer.ok) {
      await answer.body?.cancel();
      return undefined;
    }
    return reasonsIn(await answer.text()) ?? `it answers ${answer.status}`;
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    return wordsOf(cause ?? error);
  }
}

/** What of an answer of /readyz is not well. */
function reasonsIn(text: string): string | undefined {
  try {
    const { checks } = JSON.parse(text) as { readonly checks?: Readonly<Record<string, unknown>> };
    const bad = Object.entries(checks ?? {}).filter(([, result]) => result !== "ok");
    return bad.length === 0
      ? undefined
      : bad.map(([name, result]) => `${name}: ${String(result)}`).join(", ");
  } catch {
    return undefined;
  }
}

const wordsOf = (error: unknown): string =>
  error instanceof Error ? error.message || error.name : String(error);
