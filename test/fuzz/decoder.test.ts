import { expect, test } from "vitest";
import { checkDecoder } from "./decoder-check.ts";
import { fuzzDecoder } from "./decoder.ts";
import { inputOf } from "./decoder-inputs.ts";

test("20,000 messages of any kind are read as valid events or refused as unreadable, and none hangs", async () => {
  const told: string[] = [];
  const passed = await fuzzDecoder({ inputs: 20_000, seed: 20_261_124, tell: (text) => told.push(text) });
  expect({ passed, told: told.join("") }).toEqual({
    passed: true,
    told: expect.stringMatching(/20000 inputs of seed 20261124 in .*\d{3,} read, \d{4,} refused/),
  });
}, 300_000);

test("an input is the same again for the same seed and place", () => {
  for (const index of [0, 1, 17, 4096]) expect(inputOf(7, index)).toEqual(inputOf(7, index));
  expect(inputOf(7, 1)).not.toEqual(inputOf(8, 1));
});

test("the check finds a decoder's error that is not a refusal", () => {
  const body = Buffer.from("{}");
  expect(() => checkDecoder({ id: "1", contentType: null as unknown as string, body })).toThrow(TypeError);
});
