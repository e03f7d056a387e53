import { bytes, type End, type Headers, lines, request, type Text } from "./wire.ts";

export const json = { "content-type": "application/json" };
export const event = (body: Text, headers: Headers = {}): Buffer =>
  request("POST /event", body, { ...json, ...headers });
export const events = (body: Text, headers: Headers = {}): Buffer =>
  request("POST /events", body, { ...json, ...headers });
export const as = (type: string | undefined): Headers => ({ "content-type": type });
export const ndjson = (body: Text): Buffer => events(body, as("application/x-ndjson"));
export const gzip = { "content-encoding": "gzip" };

/** Good in itself: none of these may be seen by the views, since the request around it is broken. */
export const ok = '{"username":"bad","metric":"bad","count":1}';
export const fields = { username: '"bad"', metric: '"bad"', count: "1" };
/** An event with one field set to some JSON. */
export function having(field: string, value: string): string {
  const all = Object.entries({ ...fields, [field]: value });
  return `{${all.map(([name, text]) => `"${name}":${text}`).join(",")}}`;
}
export const named = (username: string): string => having("username", `"${username}"`);
/** An event with a field added, even one that an object of JavaScript would treat in its own way. */
export const plus = (field: string, value: string): string => `${ok.slice(0, -1)},"${field}":${value}}`;
export const raw = (hex: string): Buffer =>
  bytes('{"username":"', Buffer.from(hex, "hex"), '","metric":"bad","count":1}');
export const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);

/** POST /event up to where its framing goes its own way. */
export const framed = (...rest: readonly string[]): string =>
  lines("POST /event HTTP/1.1", "host: localhost", "content-type: application/json", ...rest);
export const chunked = (body: string): Buffer => bytes(framed("transfer-encoding: chunked", ""), body);
/** `good` is what may be taken: the answer to it must be 200. */
export const good = '{"username":"good","metric":"alive","count":1}';

/** Name, bytes, the status of each answer (none: the connection is closed without one), and how our side ends. */
export type Row = readonly [name: string, sent: Buffer, statuses: number | readonly number[], end?: End];

export interface Table {
  readonly title: string;
  readonly rows: readonly Row[];
}
