/** `npm run load`: Locust's users against an install, and a check afterwards that each acknowledged event is counted once. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PartMissing } from "../test/parts/part.ts";
import { check } from "./check.ts";
import { type Locust, startLocust } from "./locust.ts";
import { help, type LoadOptions, readOptions } from "./options.ts";
import { obtainPython } from "./python.ts";
import { isGood, reportOf, textOf } from "./report.ts";
import { dayOf, readTally, tallyWrittenMs, testRuns } from "./tally.ts";
import { openTarget, type Target } from "./target.ts";
import { tell } from "./tell.ts";
import { type Baseline, Views } from "./views.ts";

const TALLY_EVERY_MS = 500;
const INTERRUPTED = 130;

try {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) process.stdout.write(help);
  else process.exitCode = (await run(options)) ? 0 : 1;
} catch (error) {
  const known = error instanceof PartMissing || (error instanceof TypeError && "code" in error);
  process.stderr.write(`load: ${known || !(error instanceof Error) ? String(error) : error.stack}\n`);
  process.exitCode = 1;
}

/** Resolves to whether nothing failed and all was counted. */
async function run(options: LoadOptions): Promise<boolean> {
  const python = await obtainPython();
  const target = await openTarget(options.where);
  const folder = await mkdtemp(join(tmpdir(), "millrace-load-tally-"));
  const ends = { stop: (): void => target.kill(), kill: (): void => target.kill() };
  const { interrupts } = listenForCtrlC(ends);
  try {
    tell(`events go to ${target.collectorUrl}, the views and the console are at ${target.queryUrl}`);
    const views = new Views(target.queryUrl);
    const baseline = await views.baseline(dayOf(Date.now()));
    const session: Session = { options, target, views, baseline, runId: newRunId(), folder };
    const locust = startLocust(python, target, options, { id: session.runId, folder });
    ends.stop = () => {
      tell("stopping the users; Ctrl-C again ends all at once, without a check");
      locust.stop();
    };
    ends.kill = () => {
      locust.kill();
      target.kill();
    };
    if (!options.headless)
      tell(`the page is at http://${options.webHost}:${options.webPort}; Ctrl-C ends it`);
    return await (options.headless ? headless(locust, session) : withPage(locust, session));
  } finally {
    interrupts.abort();
    await target.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

interface Session {
  readonly options: LoadOptions;
  readonly target: Target;
  readonly views: Views;
  readonly baseline: Baseline;
  readonly runId: string;
  readonly folder: string;
}

async function headless(locust: Locust, session: Session): Promise<boolean> {
  const fault = await locust.ended;
  return checked(session, fault, () => false);
}

/** Checks after each test that was stopped on the page. Resolves to whether all were good, once Locust has ended. */
async function withPage(locust: Locust, session: Session): Promise<boolean> {
  let ended = false;
  const end = locust.ended.finally(() => (ended = true));
  let good = true;
  for (let last = 0; ; ) {
    // What was stopped by the end of Locust is looked at, too.
    const after = ended;
    const written = await tallyWrittenMs(session.folder);
    if (written > last) {
      last = written;
      good = (await checked(session, undefined, () => !ended && testRuns(session.folder))) && good;
    } else if (after) {
      const fault = await end;
      if (last === 0) tell("no test was run");
      if (fault !== undefined) tell(fault);
      return good && last > 0 && fault === undefined;
    }
    await Promise.race([sleep(TALLY_EVERY_MS), end]);
  }
}

/** True also where the check was given up because it was superseded: another follows. */
async function checked(
  session: Session,
  fault: string | undefined,
  superseded: () => boolean,
): Promise<boolean> {
  const { options, target, views, baseline, runId, folder } = session;
  const tally = await readTally(folder);
  if (tally === undefined) {
    tell(fault ?? "no test was run");
    return false;
  }
  const { fresh } = target;
  const { patienceSeconds } = options;
  const verdict = await check(tally, { views, run: runId, fresh, baseline, patienceSeconds, superseded });
  if (verdict === undefined) {
    tell("a new test was started: both are checked when it stops");
    return true;
  }
  const faults = [...(fault === undefined ? [] : [fault]), ...(await target.faults())];
  const report = reportOf({ target: target.name, shape: options.shape, tally, verdict, faults });
  if (options.report !== undefined) {
    await writeFile(options.report, `${JSON.stringify(report, undefined, 2)}\n`);
  }
  process.stdout.write(textOf(report));
  return isGood(report);
}

/** The first stops in good order, the second at once. */
function listenForCtrlC(ends: { stop(): void; kill(): void }): { readonly interrupts: AbortController } {
  const interrupts = new AbortController();
  let times = 0;
  const onSignal = (): void => {
    times += 1;
    if (times === 1) return ends.stop();
    ends.kill();
    return process.exit(INTERRUPTED);
  };
  const names = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const name of names) process.on(name, onSignal);
  interrupts.signal.addEventListener("abort", () => {
    for (const name of names) process.off(name, onSignal);
  });
  return { interrupts };
}

/** Few enough letters to read, enough of them to be nobody else's. */
function newRunId(): string {
  return `load-${Math.floor(Math.random() * 36 ** 6)
    .toString(36)
    .padStart(6, "0")}`;
}
