import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
  type AcceptedEvent,
  decodeMessage,
  encodeRows,
  type Message,
  rowsOf,
} from "../../src/domain/envelope.ts";
import { formsOf, holdsName, type WithoutUser, withoutUser } from "../../src/domain/erasure.ts";
import { isName } from "../../src/domain/event.ts";

const name = fc
  .oneof(
    fc.string({ unit: "binary", minLength: 1, maxLength: 12 }),
    fc.constantFrom("ann", "an", 'a"nn', "a\\n", "änn", "ann ", "100%", "😀", "a/b", "\u2028"),
  )
  .filter(isName);
const event = (username: fc.Arbitrary<string>): fc.Arbitrary<AcceptedEvent> =>
  fc.record({
    username,
    metric: name,
    count: fc.maxSafeInteger(),
    atMs: fc.nat({ max: 4_000_000_000_000 }),
    id: fc.option(
      name.map((id) => `id:${id}`),
      { nil: undefined },
    ),
  });
const messageIn = (without: WithoutUser): Message | undefined =>
  without.kind === "less" ? without.message : undefined;
const plain = (body: string): Message => ({
  id: "m1",
  contentType: "application/json",
  body: Buffer.from(body),
});

test("a user is taken out of an envelope, and the events of others stay as they are, in order, under the same id", () => {
  fc.assert(
    fc.property(
      name,
      fc.array(fc.tuple(fc.boolean(), name), { maxLength: 20 }),
      fc.infiniteStream(event(fc.constant(""))),
      (username, owners, events) => {
        const all = owners.map(([own, other]) => ({
          ...(events.next().value as AcceptedEvent),
          username: own ? username : other,
        }));
        const message = encodeRows("m1", all.length === 0 ? [] : [rowsOf(all)]);
        const others = all.filter((one) => one.username !== username);
        const without = withoutUser(message, username);
        const taken = all.length - others.length;
        expect(without).toMatchObject(
          taken === 0 ? { kind: "as it was" } : { kind: "less", taken, left: others.length },
        );
        const after = messageIn(without) ?? message;
        expect(decodeMessage(after)).toEqual({ id: "m1", events: others });
        expect(after).toMatchObject({ id: "m1", contentType: message.contentType });
        // Nothing is left to take out.
        expect(withoutUser(after, username)).toEqual({ kind: "as it was" });
      },
    ),
    { numRuns: 500 },
  );
});

test("a name is found in an event however its JSON escapes it", () => {
  fc.assert(
    fc.property(name, (username) => {
      const units = Array.from({ length: username.length }, (_, i) =>
        username.charCodeAt(i).toString(16).padStart(4, "0"),
      );
      const escaped = units.map((unit) => `\\u${unit}`).join("");
      const message = plain(`{"username":"${escaped}","metric":"m","count":1,"timestamp":1796061157655}`);
      const without = withoutUser(message, username);
      expect(without).toMatchObject({ kind: "less", taken: 1, left: 0 });
      expect(decodeMessage(messageIn(without) ?? message)).toEqual({ id: "m1", events: [] });
    }),
  );
});

test("what cannot be read is told by the name as a word of its own, in each form that it may have", () => {
  const username = 'än "n"';
  for (const form of formsOf(username))
    expect(withoutUser(plain(`${form},reads,5`), username)).toEqual({ kind: "unreadable" });
  expect(formsOf(username)).toEqual([
    'än "n"',
    String.raw`än \"n\"`,
    String.raw`\u00e4n \"n\"`,
    "%C3%A4n%20%22n%22",
  ]);
  expect(withoutUser({ ...plain("5"), contentType: `text/csv; of=${username}` }, username)).toEqual({
    kind: "unreadable",
  });
  expect(withoutUser(plain("channel,reads,5"), "ann")).toEqual({ kind: "as it was" });
});

test("a message of a later version is kept, whatever it holds, and told where the name is a word of it", () => {
  const { contentType } = encodeRows("m1", []);
  const later = (username: string): Message => ({
    id: "m1",
    contentType,
    body: Buffer.from(JSON.stringify({ schema: "millrace.envelope/2", id: "m1", by: { [username]: [1] } })),
  });
  expect(withoutUser(later("ann"), "ann")).toEqual({ kind: "too new" });
  expect(withoutUser(later('a"nn'), 'a"nn')).toEqual({ kind: "too new" });
  expect(withoutUser(later("channel"), "ann")).toEqual({ kind: "as it was" });
  expect(withoutUser(later("bob"), "ann")).toEqual({ kind: "as it was" });
});

test.for([
  ["ann", true],
  ["channel ann", true],
  ["/users/ann/7", true],
  ["id:ann-7", true],
  ["channel", false],
  ["anne", false],
  ["ann7", false],
  ["𝒜ann", false],
  ["ann𝒜", false],
  ["😀ann😀", true],
  ["", false],
] as const)("of %j it is %s that it holds the name ann", ([text, holds]) => {
  expect(holdsName(text, "ann")).toBe(holds);
});
