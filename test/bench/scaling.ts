import { randomInt } from "node:crypto";
import { drawnTraces } from "./scaling/drawn-traces.ts";
import { dayOf } from "./scaling/day.ts";
import { drawnLimits, failuresOf, knownLimits, type Limits } from "./scaling/judge.ts";
import { knownTraces } from "./scaling/known-traces.ts";
import { type Options, optionsFrom, usage } from "./scaling/options.ts";
import { writePages } from "./scaling/pages.ts";
import { kedaExpert, rivals, rivalsToBeat } from "./scaling/rivals.ts";
import { type Round, runRound } from "./scaling/rounds.ts";
import { simulate } from "./scaling/simulation.ts";
import { summariesOf } from "./scaling/summary.ts";
import { scalingTable } from "./scaling/table.ts";
import { millraceEvery } from "./scaling-policy.ts";

const MILLRACE = "Millrace";
const DRAWN_TRACES = 12;

interface JudgedRound extends Round {
  readonly name: string;
  readonly limits: Limits;
  /** A round beyond the promise is reported, and does not fail the whole. */
  readonly isGoal: boolean;
}

function roundsOf(options: Options): readonly JudgedRound[] {
  const { objectiveSeconds, seed } = options;
  const known = knownTraces.filter(({ name }) => options.trace === undefined || name === options.trace);
  const others = options.isQuick ? [kedaExpert] : rivals;
  const policies = [...others, millraceEvery(2)];
  const days = Array.from({ length: options.runs }, (_, index) => index);
  const fresh = days.map((day) => seed + day);
  const usual = { policies, traces: known, runs: days, objectiveSeconds, limits: knownLimits, isGoal: false };
  if (options.trace !== undefined) return [{ ...usual, name: "known", title: "known traces" }];
  return [
    { ...usual, name: "known", title: "known traces, known days" },
    {
      ...usual,
      name: "fresh",
      title: "known traces, fresh days",
      runs: fresh,
      policies: [...others, millraceEvery(1), millraceEvery(10), millraceEvery(2)],
    },
    {
      ...usual,
      name: "drawn",
      title: "drawn traces",
      traces: drawnTraces(seed, options.isQuick ? 3 : DRAWN_TRACES),
      runs: [0],
      limits: drawnLimits,
    },
    {
      ...usual,
      name: "strict",
      title: "half the objective, fresh days",
      runs: fresh,
      objectiveSeconds: objectiveSeconds / 2,
      isGoal: true,
    },
  ];
}

function timelineOf(name: string, objectiveSeconds: number): string {
  const trace = knownTraces.find((one) => one.name === name);
  if (trace === undefined) throw new Error(`no trace is named ${name}`);
  const { timeline } = simulate(dayOf(trace, 0, { objectiveSeconds }), millraceEvery(2));
  return timeline
    .map(
      ({ second, perSecond, backlog, waited, ready, current }) =>
        `${String(second).padStart(5)} s  ${perSecond.toFixed(0).padStart(4)}/s  backlog ${String(backlog).padStart(6)}  waited ${waited.toFixed(1).padStart(5)} s  replicas ${ready}/${current}`,
    )
    .join("\n");
}

function judged(options: Options): number {
  process.stderr.write(`seed ${options.seed} (--seed ${options.seed} repeats it)\n`);
  const rounds = roundsOf(options);
  const results = rounds.map((round) => {
    process.stderr.write(`${round.title}, objective ${round.objectiveSeconds} s:`);
    const runs = runRound(round, (done) => process.stderr.write(` ${done}`));
    process.stderr.write("\n");
    const summaries = summariesOf(runs);
    const failures = failuresOf({ ...round, summaries, policy: MILLRACE, rivals: rivalsToBeat });
    return { round, runs, summaries, failures };
  });
  if (options.isJson) process.stdout.write(`${JSON.stringify(results.map(({ runs }) => runs))}\n`);
  for (const { round, summaries, failures } of results) {
    if (options.isJson) break;
    const ours = summaries.perTrace.filter(({ policy }) => policy === MILLRACE);
    const verdict = failures.length === 0 ? "pass" : `FAIL\n- ${failures.join("\n- ")}`;
    process.stdout.write(
      `\n## ${round.title}, objective ${round.objectiveSeconds} s, days ${round.runs.join(", ")}\n\n` +
        `${scalingTable(summaries.perPolicy, "policy")}\n\n${scalingTable(ours, "trace")}\n\n` +
        `${MILLRACE}${round.isGoal ? ", beyond what is promised" : ""}: ${verdict}\n`,
    );
  }
  if (options.isWrite) {
    const tables = results.flatMap(({ round, summaries }) => [
      [round.name, scalingTable(summaries.perPolicy, "policy")],
      ...(round.name === "fresh"
        ? [
            [
              "traces",
              scalingTable(
                summaries.perTrace.filter(({ policy }) => policy === MILLRACE),
                "trace",
              ),
            ],
          ]
        : []),
    ]);
    const fresh = results.find(({ round }) => round.name === "fresh") ?? results[0];
    const shown = fresh?.summaries.perPolicy.filter(({ policy }) => !policy.startsWith(`${MILLRACE},`)) ?? [];
    writePages(Object.fromEntries(tables) as Record<string, string>, shown, options.objectiveSeconds);
  }
  const failed = results.filter(({ round, failures }) => !round.isGoal && failures.length > 0);
  process.stdout.write(
    failed.length === 0 ? "\npass\n" : `\nFAIL: ${failed.map(({ round }) => round.title).join("; ")}\n`,
  );
  return failed.length === 0 ? 0 : 1;
}

try {
  const options = optionsFrom(process.argv.slice(2), randomInt(1000, 1_000_000));
  if (options.timeline === undefined) process.exitCode = judged(options);
  else process.stdout.write(`${timelineOf(options.timeline, options.objectiveSeconds)}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}\n`);
  process.exitCode = 2;
}
