import { expect, test } from "vitest";
import { PartMissing } from "../parts/part.ts";
import { type ApiFuzzResult, fuzzApi } from "./api.ts";

/** The short form of `npm run fuzz -- api`: what it found once, it finds again with this seed. */
test("what the descriptions allow and what they do not is answered as they say, with and without keys", async ({
  skip,
}) => {
  let results: readonly ApiFuzzResult[] = [];
  try {
    results = await fuzzApi({ examples: 5, seed: 1, phases: ["examples", "fuzzing"], tell: () => {} });
  } catch (error) {
    if (!(error instanceof PartMissing)) throw error;
    process.stderr.write(`\n!! THE API IS NOT FUZZED: ${error.message}\n\n`);
    skip(error.message);
  }
  expect(results.map(({ what }) => what)).toEqual([
    "collector, without keys",
    "query, without keys",
    "collector, with keys",
    "query, with keys",
    "collector, with a key that may write",
    "collector, with a key that may read",
    "query, with a key that may read",
    "query, with a key of dead letters",
    "query, with a key that may write",
    "query, with a key that nobody knows",
    "query, with none of the keys",
  ]);
  const failed = results.filter(({ passed }) => !passed);
  expect(failed.map(({ what, output }) => `${what}\n${output.slice(-8000)}`)).toEqual([]);
}, 1_800_000);
