import { Type } from "typebox";
import { problemContentType } from "../http/problem.ts";

const problem = (description: string) => ({
  description,
  content: { [problemContentType]: { schema: { type: "object", additionalProperties: true } } },
});
const problems = {
  400: problem("A parameter is not valid; `errors` names it."),
  401: problem("A key is needed, and none was sent."),
  403: problem("The key is not known, has expired, or may not read."),
  421: problem("The Host header does not name this server."),
  429: problem("Over the rate limit of the key; see Retry-After."),
  503: problem("The store cannot answer now; see Retry-After."),
};
const paged =
  '\n\nFurther rows: follow the `Link` header with `rel="next"`; without one, this is the last page.';

const text = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 512, description }));
const cursor = Type.Optional(Type.String({ maxLength: 4096, description: "as given by the page before" }));
const limit = (max: number) =>
  Type.Optional(Type.Integer({ minimum: 1, maximum: max, default: max, description: "rows in the answer" }));

/** For a route without parameters: what is misspelt or misplaced is told. */
const none = Type.Object({}, { additionalProperties: false });

const summary = {
  minimum: Type.Number(),
  maximum: Type.Number(),
  average: Type.Number(),
  count: Type.Integer({ description: "number of events" }),
};
const AccountSchema = Type.Object({
  username: Type.String(),
  firstSeen: Type.String({ format: "date-time" }),
});

export const totalRoute = (maxRows: number) => ({
  summary: "The last hour, by metric",
  description: `Ordered by metric, or with \`order=count\` by number of events, most first; that order has no further pages.${paged}`,
  querystring: Type.Object(
    {
      order: Type.Optional(Type.Enum(["metric", "count"], { default: "metric" })),
      limit: limit(maxRows),
      cursor,
    },
    { additionalProperties: false },
  ),
  response: { 200: Type.Array(Type.Object({ _id: Type.String(), ...summary })), ...problems },
});

export const perUserRoute = (maxRows: number) => ({
  summary: "The last hour, by user and metric",
  description: `Ordered by username, then metric.${paged}`,
  querystring: Type.Object(
    { username: text("only this user"), metric: text("only this metric"), limit: limit(maxRows), cursor },
    { additionalProperties: false },
  ),
  response: {
    200: Type.Array(
      Type.Object({ _id: Type.Object({ username: Type.String(), metric: Type.String() }), ...summary }),
    ),
    ...problems,
  },
});

export const distinctNamesRoute = (maxRows: number) => ({
  summary: "Number of events by metric and UTC day or month",
  description: `Ordered by period, then metric. Days are kept for a time and then merged into their month.${paged}`,
  querystring: Type.Object(
    {
      granularity: Type.Optional(Type.Enum(["day", "month"], { default: "day" })),
      from: Type.Optional(
        Type.String({ pattern: "^\\d{4}-\\d{2}(-\\d{2})?$", description: "first period, inclusive" }),
      ),
      to: Type.Optional(
        Type.String({ pattern: "^\\d{4}-\\d{2}(-\\d{2})?$", description: "last period, inclusive" }),
      ),
      limit: limit(maxRows),
      cursor,
    },
    { additionalProperties: false },
  ),
  response: {
    200: Type.Array(
      Type.Object({
        _id: Type.Object({
          metric: Type.String(),
          day: Type.Optional(Type.String()),
          month: Type.Optional(Type.String()),
        }),
        count: Type.Integer(),
      }),
    ),
    ...problems,
  },
});

export const accountRoute = {
  summary: "When a username was first seen",
  querystring: none,
  params: Type.Object({ username: Type.String({ minLength: 1, maxLength: 512 }) }),
  response: { 200: AccountSchema, 404: problem("No event of this username is known."), ...problems },
};

export const accountsRoute = (maxRows: number) => ({
  summary: "Usernames by the time they were first seen",
  description: `Ordered by first sight, then username.${paged}`,
  querystring: Type.Object(
    {
      since: Type.Optional(
        Type.String({
          format: "date-time",
          description: "RFC 3339, from 1970 to 9999; only those first seen then or later",
        }),
      ),
      limit: limit(maxRows),
      cursor,
    },
    { additionalProperties: false },
  ),
  response: { 200: Type.Array(AccountSchema), ...problems },
});
