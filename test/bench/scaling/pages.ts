import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { millraceEvery } from "../scaling-policy.ts";
import { dayOf } from "./day.ts";
import { knownTraces } from "./known-traces.ts";
import { dayPlot, frontierPlot } from "./plots.ts";
import { kedaExpert } from "./rivals.ts";
import { simulate } from "./simulation.ts";
import type { Summary } from "./summary.ts";

const docs = join(import.meta.dirname, "../../../docs");
const page = join(docs, "scaling-decisions.md");
/** Of the plots: a load that steps, one that is noisy, and a store that gets slow. */
const shown = ["stepUp10", "heavyTail", "slowDatabase"];

/** Writes the plots, and each table between the two comments with its name. */
export function writePages(
  tables: Readonly<Record<string, string>>,
  all: readonly Summary[],
  objectiveSeconds: number,
): void {
  for (const trace of knownTraces.filter(({ name }) => shown.includes(name))) {
    const day = dayOf(trace, 0, { objectiveSeconds });
    const runs = [simulate(day, millraceEvery(2)), simulate(day, kedaExpert)] as const;
    const name = trace.name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    writeFileSync(join(docs, `img/scaling-${name}.svg`), dayPlot(runs, objectiveSeconds));
  }
  writeFileSync(join(docs, "img/scaling-frontier.svg"), frontierPlot(all));
  let text = readFileSync(page, "utf8");
  for (const [name, table] of Object.entries(tables)) {
    const between = new RegExp(`(<!-- ${name} -->\n)[^]*?(<!-- /${name} -->)`);
    if (!between.test(text)) throw new Error(`docs/scaling-decisions.md has no place for the table ${name}`);
    text = text.replace(between, (_, start: string, end: string) => `${start}${table}\n${end}`);
  }
  writeFileSync(page, text);
}
