import { checkTable, fault, type Finding, levelOf, type CheckName, type Level } from "../domain/diagnosis.ts";
import type { Check } from "../ports/check.ts";

export interface Result extends Finding {
  readonly name: CheckName;
  readonly level: Level;
  readonly tookMs: number;
}
/** The version of the JSON's form: higher where a reader of the form before would go wrong. */
const FORMAT = 1;

/** Makes all checks, at once but for those that need another; each is given so long. Results come in the order of the table. */
export async function examine(
  checks: readonly Check[],
  timeoutMs: number,
  mask: (text: string) => string,
): Promise<readonly Result[]> {
  const results = new Map<CheckName, Promise<Result>>();
  const resultOf = async (check: Check): Promise<Result> => {
    // A check that needs another comes after it in the list.
    const before = check.after === undefined ? undefined : await results.get(check.after);
    if (before !== undefined && (before.level === "fault" || before.level === "skipped")) {
      return { ...nothing(check), level: "skipped", found: `not looked at: see ${nameOf(before)}` };
    }
    const beganMs = performance.now();
    const { found, problems, skipped } = await within(check, timeoutMs);
    return {
      name: check.name,
      level: skipped === true ? "skipped" : levelOf(problems),
      found: mask(found),
      problems: problems.map(({ level, what, todo }) => ({ level, what: mask(what), todo: mask(todo) })),
      tookMs: Math.round(performance.now() - beganMs),
    };
  };
  for (const check of checks) results.set(check.name, resultOf(check));
  const all = await Promise.all(results.values());
  const order = Object.keys(checkTable);
  return all.toSorted((one, other) => order.indexOf(one.name) - order.indexOf(other.name));
}

const nameOf = ({ name, found }: Result): string =>
  found.startsWith("not looked at: see ") ? found.slice(19) : name;
const nothing = ({ name }: Check) => ({ name, problems: [], tookMs: 0 });

async function within(check: Check, timeoutMs: number): Promise<Finding> {
  const stop = new AbortController();
  const late = Promise.withResolvers<Finding>();
  const timer = setTimeout(() => {
    late.resolve(failed(`no answer within ${timeoutMs} ms`, check));
    stop.abort();
  }, timeoutMs);
  try {
    return await Promise.race([check.run(stop.signal), late.promise]);
  } catch (error) {
    return failed(error instanceof Error ? error.message : String(error), check);
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
}

const failed = (what: string, { todo }: Check): Finding => ({ found: "", problems: [fault(what, todo)] });

/** One line a check, and below it what is wrong and what to do. */
export function report(results: readonly Result[]): string {
  const width = Math.max(...results.map(({ name }) => name.length));
  const lines = results.flatMap(({ name, level, found, problems }) => [
    `${level.padEnd(LEVEL_WIDTH)}${name.padEnd(width)}  ${oneLine(found)}`.trimEnd(),
    ...problems.flatMap(({ level: of, what, todo }) => [
      `${"".padEnd(LEVEL_WIDTH)}${of}: ${oneLine(what)}`,
      `${"".padEnd(LEVEL_WIDTH)}what to do: ${oneLine(todo)}`,
    ]),
  ]);
  return [...lines, summaryOf(results)].join("\n");
}

const LEVEL_WIDTH = 9;
/** A server's words may have lines and control characters. */
const oneLine = (text: string): string => text.replaceAll(/[\p{Cc}\s]+/gu, " ").trim();

export function reportJson(results: readonly Result[], millrace: string): string {
  const checks = results.map(({ name, level, found, problems, tookMs }) => ({
    name,
    level,
    found,
    problems,
    tookMs,
  }));
  return JSON.stringify({ format: FORMAT, millrace, level: worstOf(results), checks }, undefined, 2);
}

export function worstOf(results: readonly Result[]): Level {
  return levelOf(results.flatMap(({ problems }) => problems));
}

function summaryOf(results: readonly Result[]): string {
  const levels = ["ok", "warning", "fault", "skipped"] as const;
  const counts = levels.map((level) => [results.filter((one) => one.level === level).length, level] as const);
  return `${results.length} checks: ${counts
    .filter(([count, level]) => count > 0 || level === "fault")
    .map(([count, level]) => `${count} ${level}`)
    .join(", ")}`;
}
