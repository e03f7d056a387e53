import { Type } from "typebox";
import { EventSchema } from "../domain/event.ts";
import { type Access, accesses } from "../domain/key.ts";
import { type ProjectionName, projectionNames } from "../domain/projection.ts";
import { problemContentType } from "../http/problem.ts";

const problem = (description: string) => ({
  description,
  content: { [problemContentType]: { schema: { type: "object", additionalProperties: true } } },
});
const tags = ["console"];
const none = Type.Object({}, { additionalProperties: false });
const queue = Type.Unsafe<ProjectionName>({
  type: "string",
  enum: [...projectionNames],
  description: "which queue",
});
const reading = {
  400: problem("A parameter is not valid; `errors` names it."),
  421: problem("The Host header does not name this server."),
};
const keyProblems = {
  401: problem("A key is needed, and none was sent."),
  403: problem("The key is not known, has expired, or does not allow this."),
};
const writing = {
  ...keyProblems,
  403: problem("The key does not allow this, or the request comes from another site."),
  413: problem("The body is over the limit."),
  415: problem("The content type is not application/json."),
  421: problem("The Host header does not name this server."),
};

/** Most rows of a list of dead letters, and most ids of a replay. */
export const MAX_LETTERS = 100;

export const setupRoute = {
  summary: "What the live page can do here",
  tags,
  querystring: none,
  response: {
    200: Type.Object({
      version: Type.String(),
      canSend: Type.Boolean({ description: "an event may be sent from the page" }),
      canReplay: Type.Boolean({ description: "dead letters can be shown and replayed" }),
      needsKeyFor: Type.Array(Type.Unsafe<Access>({ type: "string", enum: [...accesses] }), {
        description: "what needs a key: sending events, reading, or the dead letters",
      }),
    }),
    ...reading,
  },
};

export const liveRoute = {
  summary: "The figures of the live page, once a second",
  description:
    "Server-sent events: `history` with the last snapshots, oldest first, then `snapshot` each second, and `decisions` at first and " +
    "whenever the operator has decided. A figure that is not known is null. A client that reads too slowly misses snapshots.",
  tags,
  querystring: none,
  response: {
    200: { description: "The events.", content: { "text/event-stream": { schema: { type: "string" } } } },
    ...reading,
    ...keyProblems,
    503: problem("Too many pages are open; see Retry-After."),
  },
};

export const sendRoute = {
  summary: "Pass an event on to a collector",
  description:
    "For the form of the live page, which may not ask another host. The answer is the collector's own.",
  tags,
  body: EventSchema,
  response: {
    200: { description: "The event is durable.", type: "null" },
    400: problem("Malformed or invalid; `errors` names each field and its fault."),
    ...writing,
    503: problem("The collector does not answer, or has not taken the event; see Retry-After."),
  },
};

export const deadLettersRoute = {
  summary: "What could not be processed, and why",
  description:
    "Oldest first. Without `queue`, those of all queues, one queue after the other. Letters stay where they are.",
  tags,
  querystring: Type.Object(
    {
      queue: Type.Optional(queue),
      limit: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: MAX_LETTERS,
          default: MAX_LETTERS,
          description: "rows in the answer",
        }),
      ),
    },
    { additionalProperties: false },
  ),
  response: {
    200: Type.Object({
      rows: Type.Array(
        Type.Object({
          id: Type.String(),
          queue,
          reason: Type.String(),
          attempts: Type.Integer(),
          deadAt: Type.String({ format: "date-time" }),
          contentType: Type.String(),
          body: Type.String({ description: "as text, at most 2,000 characters" }),
        }),
      ),
      more: Type.Boolean({ description: "there are more than these" }),
    }),
    ...reading,
    ...keyProblems,
    503: problem("The broker cannot answer now, or another list or replay is in hand; see Retry-After."),
  },
};

export const replayRoute = {
  summary: "Put dead letters back into their queue",
  description: "As attempt 1. An id that is not there any more is passed over.",
  tags,
  body: Type.Object(
    {
      queue,
      ids: Type.Array(Type.String({ minLength: 1, maxLength: 1024 }), { minItems: 1, maxItems: MAX_LETTERS }),
    },
    { additionalProperties: false },
  ),
  response: {
    200: Type.Object({ replayed: Type.Integer({ description: "how many were put back" }) }),
    400: problem("Malformed or invalid; `errors` names each field and its fault."),
    ...writing,
    503: problem("The broker cannot answer now, or another list or replay is in hand; see Retry-After."),
  },
};
