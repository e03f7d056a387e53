import type { Verdict } from "./check.ts";
import type { Line, Tally } from "./tally.ts";

export interface Report {
  readonly target: string;
  readonly shape: string;
  readonly seconds: number;
  readonly acknowledged: number;
  /** Requests, those that were repeated included. */
  readonly requests: number;
  readonly retried: { readonly toldToWait: number; readonly noAnswer: number };
  readonly lines: readonly Line[];
  readonly counted: Verdict["counted"];
  readonly left: Verdict["left"];
  /** Rows of the views that are not as they should be. */
  readonly off: readonly string[];
  /** All else that should not be. */
  readonly failures: readonly string[];
}

const SHOWN = 20;

export function reportOf(run: {
  readonly target: string;
  readonly shape: string;
  readonly tally: Tally;
  readonly verdict: Verdict;
  /** Of the processes of the target and of Locust. */
  readonly faults: readonly string[];
}): Report {
  const { target, shape, tally, verdict, faults } = run;
  const { statistics } = tally;
  const failures = [
    ...statistics.failures.map(({ name, error, times }) => `${times} times ${name}: ${error}`),
    ...statistics.raised.map((error) => `the load test itself: ${error}`),
    ...(tally.refused > 0 ? [`${tally.refused} events were refused`] : []),
    ...(tally.unknown > 0 ? [`of ${tally.unknown} events it was not told whether they were taken`] : []),
    ...(tally.acknowledged === 0 ? ["no event was acknowledged"] : []),
    ...faults,
  ];
  return {
    target,
    shape,
    seconds: Math.round(statistics.seconds * 10) / 10,
    acknowledged: tally.acknowledged,
    requests: tally.requests,
    retried: { toldToWait: tally.waits, noAnswer: tally.lost },
    lines: statistics.lines,
    counted: verdict.counted,
    left: verdict.left,
    off: verdict.off,
    failures,
  };
}

export const isGood = ({ off, failures }: Report): boolean => off.length === 0 && failures.length === 0;

export function textOf(report: Report): string {
  const { target, shape, seconds, acknowledged, requests, retried, lines, counted, left, off, failures } =
    report;
  const width = Math.max(...lines.map(({ name }) => name.length), "latency in ms".length);
  const row = (name: string, cells: readonly (string | number)[]): string =>
    `  ${name.padEnd(width)}${cells.map((cell) => String(cell).padStart(10)).join("")}`;
  return [
    "",
    `${target}, shape ${shape}, ${seconds} s`,
    `  acknowledged ${acknowledged} events in ${requests} requests`,
    `  repeated     ${retried.toldToWait} told to wait, ${retried.noAnswer} without an answer`,
    `  failures     ${failures.length === 0 ? 0 : ""}`,
    ...shown(failures),
    "",
    row("latency in ms", ["requests", "failures", "p50", "p95", "p99", "max"]),
    ...lines.map((one) => row(one.name, [one.requests, one.failures, one.p50, one.p95, one.p99, one.max])),
    "",
    ...counted.map(
      (one) => `  ${one.view.padEnd(18)} ${one.counted} counted, ${one.acknowledged} acknowledged`,
    ),
    ...left.map((why) => `  ${why}`),
    ...shown(off),
    off.length === 0 ? "counted: exact" : `counted: ${off.length} rows are off`,
    isGood(report) ? "verdict: good" : "verdict: FAILED",
    "",
  ].join("\n");
}

function shown(faults: readonly string[]): readonly string[] {
  const rest = faults.length - SHOWN;
  return [
    ...faults.slice(0, SHOWN).map((one) => `  - ${one}`),
    ...(rest > 0 ? [`  - and ${rest} more`] : []),
  ];
}
