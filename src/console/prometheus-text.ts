/** One line of the text format of Prometheus. */
export interface Sample {
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}
/** By the name of the metric; one that the text does not have has no entry. */
export type Samples = ReadonlyMap<string, readonly Sample[]>;

/**
 * The samples of some metrics in a text of Prometheus. All else is passed over, and so is a line that cannot be read: what
 * it would have told is not known then.
 */
export function samplesIn(text: string, names: ReadonlySet<string>): Samples {
  const samples = new Map<string, Sample[]>();
  for (const line of text.split("\n")) {
    const name = /^[a-zA-Z_:][\w:]*/.exec(line)?.[0];
    if (name === undefined || !names.has(name)) continue;
    const sample = sampleIn(line, name.length);
    if (sample === undefined) continue;
    const known = samples.get(name);
    if (known === undefined) samples.set(name, [sample]);
    else known.push(sample);
  }
  return samples;
}

function sampleIn(line: string, nameEnd: number): Sample | undefined {
  const labels = new Map<string, string>();
  let at = nameEnd;
  if (line[at] === "{") {
    const label = /\s*([a-zA-Z_]\w*)\s*=\s*"((?:\\.|[^"\\])*)"\s*,?/y;
    at += 1;
    label.lastIndex = at;
    for (let found = label.exec(line); found !== null; found = label.exec(line)) {
      labels.set(found[1] ?? "", unescaped(found[2] ?? ""));
      at = label.lastIndex;
    }
    const end = /\s*\}/y;
    end.lastIndex = at;
    if (!end.test(line)) return undefined;
    at = end.lastIndex;
  }
  // A timestamp or an exemplar may follow.
  const word = /^\s+(\S+)/.exec(line.slice(at))?.[1];
  const value = word === undefined ? undefined : numberIn(word);
  return value === undefined ? undefined : { labels, value };
}

const unescaped = (text: string): string =>
  text.replaceAll(/\\(.)/g, (both, escaped: string) => {
    if (escaped === "n") return "\n";
    return escaped === "\\" || escaped === '"' ? escaped : both;
  });

function numberIn(word: string): number | undefined {
  // prom-client writes Nan.
  if (/^nan$/i.test(word)) return Number.NaN;
  const infinity = /^([+-]?)Inf(?:inity)?$/i.exec(word);
  if (infinity !== null) return infinity[1] === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  const value = Number(word);
  return Number.isNaN(value) ? undefined : value;
}
