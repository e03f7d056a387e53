import { Type } from "typebox";
import { EventSchema, NO_NUL } from "../domain/event.ts";
import { ATTRIBUTE_MAX } from "../domain/cloud-event.ts";
import { problemContentType } from "../http/problem.ts";

const ProblemSchema = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  code: Type.String(),
  detail: Type.Optional(Type.String()),
  errors: Type.Optional(Type.Array(Type.Object({ pointer: Type.String(), detail: Type.String() }))),
});
const problem = (description: string) => ({
  description,
  content: { [problemContentType]: { schema: ProblemSchema } },
});
const problems = {
  400: problem("Malformed or invalid; `errors` names each field and its fault."),
  401: problem("A key is needed, and none was sent."),
  403: problem("The key is not known, has expired, or may not write."),
  408: problem("The request took too long to arrive."),
  413: problem("The body is over the limit, before or after inflation."),
  415: problem("The content type or encoding is not supported."),
  417: problem("The expectation of the header Expect is not 100-continue."),
  421: problem("The Host header does not name this server."),
  429: problem("Over the rate limit, or over what the key may send in a UTC day; see Retry-After."),
  503: problem(
    "Nothing was taken, or it is not known whether; see Retry-After, and send it again with the same id.",
  ),
};

const example = { username: "kodingbot", count: 12412414, metric: "kite_call" };
const attribute = (pattern: string) => Type.String({ minLength: 1, maxLength: ATTRIBUTE_MAX, pattern });
/** What is null is not there. */
const orNull = (schema: ReturnType<typeof Type.String>) => Type.Optional(Type.Union([schema, Type.Null()]));
const CloudEventSchema = Type.Object(
  {
    specversion: Type.Literal("1.0"),
    id: attribute(NO_NUL),
    source: attribute(String.raw`^[^\s\u0000]+$`),
    type: attribute(NO_NUL),
    time: orNull(Type.String({ format: "date-time" })),
    datacontenttype: orNull(Type.String({ pattern: String.raw`^application/([\w.-]+\+)?json\s*(;|$)` })),
    data: EventSchema,
    data_base64: Type.Optional(Type.Null()),
  },
  {
    description:
      "A CloudEvent 1.0; a duplicate has the same source and id. Its data may also be in `data_base64`, instead of `data`.",
  },
);
const cloudEventExample = {
  specversion: "1.0",
  id: "42",
  source: "/checkout",
  type: "org.example.usage",
  time: "2026-11-24T06:00:00Z",
  data: example,
};

export const eventRoute = {
  summary: "Take one event",
  description:
    "Answers 200 once the event is durable. In CloudEvents binary mode the attributes are `ce-` headers. An event with an " +
    "`id`, or a request with an `Idempotency-Key`, may be sent again at will: it is counted once.",
  body: {
    content: {
      "application/json": { schema: { ...EventSchema, examples: [example] } },
      "application/cloudevents+json": { schema: { ...CloudEventSchema, examples: [cloudEventExample] } },
    },
  },
  response: { 200: { description: "The event is durable.", type: "null" }, ...problems },
};

export const eventsRoute = {
  summary: "Take many events",
  description:
    "Good events are taken though others are rejected; `results` names every rejected one. All good ones are durable, or " +
    "none is and the answer is 503. Also NDJSON, one event a line. The body may be gzip.",
  body: {
    content: {
      "application/json": { schema: { ...Type.Array(EventSchema), examples: [[example]] } },
      "application/x-ndjson": { schema: { type: "string", examples: [`${JSON.stringify(example)}\n`] } },
      "application/cloudevents-batch+json": {
        schema: { ...Type.Array(CloudEventSchema), examples: [[cloudEventExample]] },
      },
    },
  },
  response: {
    200: {
      description: "What was taken and what was not.",
      ...Type.Object({
        accepted: Type.Integer(),
        rejected: Type.Integer(),
        results: Type.Array(
          Type.Object({
            index: Type.Integer({ description: "place in the request, from 0" }),
            id: Type.Union([Type.String(), Type.Null()]),
            status: Type.Literal("rejected"),
            reason: Type.String(),
          }),
        ),
      }),
    },
    ...problems,
  },
};

export const debugVarsRoute = {
  summary: "Figures of the requests so far",
  description: "Times in seconds; the average is over the last 256 requests.",
  response: {
    200: {
      description: "The figures.",
      ...Type.Object({
        serverMetrics: Type.Object({
          requests: Type.Object({
            total: Type.Integer(),
            failed: Type.Integer(),
            successfull: Type.Integer(),
          }),
          responseTimes: Type.Object({
            minimum: Type.Number(),
            maximum: Type.Number(),
            average: Type.Number(),
          }),
        }),
      }),
    },
  },
};
