import { parseArgs } from "node:util";

export interface Options {
  readonly isQuick: boolean;
  readonly trace: string | undefined;
  readonly runs: number;
  readonly seed: number;
  readonly objectiveSeconds: number;
  readonly timeline: string | undefined;
  readonly isJson: boolean;
  readonly isWrite: boolean;
}

export const usage = `npm run bench:scaling -- [options]
  --quick              fewer rivals, one day of each trace
  --trace NAME         only this of the known traces
  --seeds N            days of each trace; 3 by default
  --seed N             of the fresh days and traces; drawn by default, and printed
  --objective SECONDS  of the first three rounds; 30 by default
  --timeline NAME      one line per 5 s of what Millrace does on this trace, nothing else
  --json               every run, as JSON
  --write              the table and the plots of docs/scaling-decisions.md`;

/** Throws where an option is not known or is no number. */
export function optionsFrom(args: readonly string[], drawnSeed: number): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      trace: { type: "string" },
      seeds: { type: "string", default: "3" },
      seed: { type: "string", default: String(drawnSeed) },
      objective: { type: "string", default: "30" },
      timeline: { type: "string" },
      json: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
  });
  return {
    isQuick: values.quick,
    trace: values.trace,
    runs: values.quick ? 1 : wholeOf("--seeds", values.seeds),
    seed: wholeOf("--seed", values.seed),
    objectiveSeconds: wholeOf("--objective", values.objective),
    timeline: values.timeline,
    isJson: values.json,
    isWrite: values.write,
  };
}

function wholeOf(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${name} takes a whole number, not ${text}`);
  return value;
}
