import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { expect, test } from "vitest";
import { samplesIn } from "../../src/console/prometheus-text.ts";

const read = (text: string, ...names: string[]) =>
  Array.from(samplesIn(text, new Set(names)), ([name, samples]) => [
    name,
    samples.map(({ labels, value }) => [Object.fromEntries(labels), value]),
  ]);

test.for([
  ["a bare sample", "a 1", [[{}, 1]]],
  ["a value with an exponent", "a 1.5e3", [[{}, 1500]]],
  ["a negative value", "a -7", [[{}, -7]]],
  ["labels", 'a{x="1",y="two"} 3', [[{ x: "1", y: "two" }, 3]]],
  ["no labels in braces", "a{} 3", [[{}, 3]]],
  ["a comma after the last label", 'a{x="1",} 3', [[{ x: "1" }, 3]]],
  ["blanks wherever they may be", 'a{ x = "1" , y="2" }   3', [[{ x: "1", y: "2" }, 3]]],
  ["an escaped quote", String.raw`a{x="say \"b\", c"} 3`, [[{ x: 'say "b", c' }, 3]]],
  ["an escaped backslash before a quote", String.raw`a{x="c:\\"} 3`, [[{ x: "c:\\" }, 3]]],
  ["an escaped line break", String.raw`a{x="1\n2"} 3`, [[{ x: "1\n2" }, 3]]],
  ["an unknown escape as it is", String.raw`a{x="\d"} 3`, [[{ x: String.raw`\d` }, 3]]],
  ["braces and commas within a label", 'a{x="},{"} 3', [[{ x: "},{" }, 3]]],
  ["a label called like a property of all objects", 'a{constructor="1"} 3', [[{ constructor: "1" }, 3]]],
  ["no number", "a NaN", [[{}, Number.NaN]]],
  ["infinity", "a +Inf", [[{}, Number.POSITIVE_INFINITY]]],
  ["infinity below", "a -Inf", [[{}, Number.NEGATIVE_INFINITY]]],
  ["a timestamp after the value", "a 3 1796042699223", [[{}, 3]]],
  ["an exemplar after the value", 'a 3 # {trace_id="1"} 0.5', [[{}, 3]]],
  ["a line that ends as those of Windows do", "a 3\r", [[{}, 3]]],
] as const)("reads %s", ([, text, samples]) => {
  expect(read(text, "a")).toEqual([["a", samples]]);
});

test.for([
  ["a comment", "# HELP a 1"],
  ["a name that only begins like it", "a_total 1"],
  ["a histogram of that name", 'a_bucket{le="0.1"} 1\na_sum 3\na_count 1'],
  ["a line without a value", 'a{x="1"}'],
  ["a label that does not end", 'a{x="1} 3'],
  ["labels that do not end", 'a{x="1" 3'],
  ["what is no number", "a three"],
  ["an empty text", ""],
] as const)("passes over %s", ([, text]) => {
  expect(read(text, "a")).toEqual([]);
});

test("reads what prom-client writes, whatever is in a label", async () => {
  const registers = [new Registry()];
  const strange = 'a "quoted"\\ name\nof {two}, lines';
  new Counter({ name: "sent_total", help: "Of\nsomething.", labelNames: ["to"], registers }).inc(
    { to: strange },
    4,
  );
  const load = new Gauge({ name: "load", help: "Now.", labelNames: ["of"], registers });
  load.set({ of: "none" }, Number.NaN);
  load.set({ of: "all" }, Number.POSITIVE_INFINITY);
  new Histogram({ name: "wait", help: "Long.", buckets: [1, 2], registers }).observe(1.5);
  const text = (await registers[0]?.metrics()) ?? "";
  expect(read(text, "sent_total", "load", "wait")).toEqual([
    ["sent_total", [[{ to: strange }, 4]]],
    [
      "load",
      [
        [{ of: "none" }, Number.NaN],
        [{ of: "all" }, Number.POSITIVE_INFINITY],
      ],
    ],
  ]);
});
