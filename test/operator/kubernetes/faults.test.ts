import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { refusalOf, unreachable } from "../../../operator/kubernetes/faults.ts";
import { linesOf } from "../../../operator/kubernetes/lines.ts";

const question = {
  verb: "patch",
  group: "apps",
  resource: "deployments/scale",
  namespace: "shop",
  object: "Deployment worker",
  path: "/",
} as const;

test.for([
  [401, {}, "Forbidden", "the API server does not accept this operator's credentials"],
  [
    403,
    { message: 'x is forbidden: User "u" cannot patch resource "deployments/scale" in API group "apps"' },
    "Forbidden",
    "this operator may not patch deployments/scale (API group apps) in namespace shop: a Role or ClusterRole that is bound to its service account must allow it",
  ],
  [
    403,
    { message: "exceeded quota" },
    "Forbidden",
    "the API server forbids this operator to patch Deployment worker in namespace shop: exceeded quota",
  ],
  [404, { details: { name: "worker" } }, "NotFound", "there is no Deployment worker in namespace shop"],
  [404, {}, "NoSuchKind", "the cluster knows no deployments/scale (API group apps)"],
  [405, {}, "NoSuchKind", "one cannot patch deployments/scale (API group apps)"],
  [409, {}, "Conflict", "somebody else has changed Deployment worker in namespace shop meanwhile"],
  [
    409,
    { reason: "AlreadyExists" },
    "Conflict",
    "somebody else has created Deployment worker in namespace shop",
  ],
  [
    422,
    { message: "too many" },
    "Invalid",
    "the API server does not accept Deployment worker in namespace shop: too many",
  ],
  [429, { message: "slow down" }, "Unavailable", "the API server cannot answer at present: slow down"],
  [503, {}, "Unavailable", "the API server cannot answer at present: HTTP status 503"],
] as const)("the answer %d %j is %s", ([status, said, fault, message]) => {
  expect(refusalOf(question, status, said)).toMatchObject({ fault, message, status });
});

test.for([
  ["Authorization: Bearer abc.def", "Authorization: Bearer ***"],
  ["token eyJhbGciOiJub25lIn0.e30.c2VjcmV0 is old", "token *** is old"],
  ["proxy http://ann:secret@proxy:3128 refuses", "proxy http://***@proxy:3128 refuses"],
] as const)("what is secret in %j is not told", ([words, told]) => {
  expect(unreachable(new Error(words)).message).toBe(`the API server cannot be reached: ${told}`);
  expect(refusalOf(question, 500, { message: words }).message).toContain(told);
});

test("an error of several addresses is told by the first of them", () => {
  const several = new AggregateError([new Error("connect ECONNREFUSED ::1:6443"), new Error("another")]);
  expect(unreachable(several).message).toBe(
    "the API server cannot be reached: connect ECONNREFUSED ::1:6443",
  );
});

test("lines are whole however they are cut on their way", async () => {
  const line = fc.string({ unit: "grapheme" }).map((text) => text.replaceAll("\n", " "));
  await fc.assert(
    fc.asyncProperty(fc.array(line), fc.integer({ min: 1, max: 7 }), async (lines, size) => {
      const bytes = Buffer.from(lines.map((one) => `${one}\n`).join(""));
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
        bytes.subarray(i * size, (i + 1) * size),
      );
      const answer = Readable.from(chunks, { objectMode: false }) as IncomingMessage;
      let heard = 0;
      const read = await Array.fromAsync(linesOf(answer, () => (heard += 1)));
      expect(read).toEqual(lines);
      expect(heard).toBeGreaterThan(0);
    }),
  );
});
