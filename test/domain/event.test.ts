import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkEvent, type EventRules } from "../../src/domain/event.ts";

const NOW_MS = Date.UTC(2026, 10, 24, 6);
const HOUR_MS = 3_600_000;
const reject: EventRules = { unknownFields: "reject", maxFutureMs: 24 * HOUR_MS };
const ignore: EventRules = { ...reject, unknownFields: "ignore" };

const good = { username: "kodingbot", metric: "kite_call", count: 1 };
const smile = "\u{1f600}";
const accent = "\u0301";
const family = "\u{1f468}\u200d\u{1f469}\u200d\u{1f467}\u200d\u{1f466}";

/** As a request brings it: JSON text, so that `__proto__` is a field and not a prototype. */
function checkJson(json: string, rules = reject) {
  return checkEvent(JSON.parse(json), rules, NOW_MS);
}
function check(value: unknown, rules = reject) {
  return checkJson(JSON.stringify(value), rules);
}
function faultsOf(json: string, rules = reject) {
  const checked = checkJson(json, rules);
  if (checked.ok) throw new Error(`taken: ${JSON.stringify(checked.event)}`);
  return checked.faults;
}
function eventOf(value: unknown, rules = reject) {
  return eventOfJson(JSON.stringify(value), rules);
}
function eventOfJson(json: string, rules = reject) {
  const checked = checkJson(json, rules);
  if (!checked.ok) throw new Error(checked.faults.map((fault) => fault.detail).join("; "));
  return checked.event;
}

const name = "it must be a string of 1 to 256 characters, none of them NUL";
const integer = "it must be an integer from -9007199254740991 to 9007199254740991";
const instant =
  "it must be an RFC 3339 date and time or milliseconds since 1970, at most 86400 s ahead of the server's clock";
const fields = "the fields are username, metric, count, id, timestamp";
const no = (value: string) => [["", `the event is ${value}; it must be a JSON object`]];
const withField = (field: string, value: string) =>
  `{"username":"u","metric":"m",${field === "count" ? "" : '"count":1,'}"${field}":${value}}`;
const long = (text: string, times = 257) => JSON.stringify(text.repeat(times));

describe("a fault is told by its field, its value and what is allowed:", () => {
  test.each([
    ["null", no("null")],
    ["true", no("true")],
    ["17", no("17")],
    ['"text"', no('"text"')],
    ['""', no("empty")],
    ["[]", no("an array")],
    [`[${JSON.stringify(good)}]`, no("an array")],
    ["1e400", no("a number out of range")],
    [withField("username", "1"), [["/username", `username is 1; ${name}`]]],
    [withField("username", "null"), [["/username", `username is null; ${name}`]]],
    [withField("username", "false"), [["/username", `username is false; ${name}`]]],
    [withField("username", "{}"), [["/username", `username is an object; ${name}`]]],
    [withField("username", '["a"]'), [["/username", `username is an array; ${name}`]]],
    [withField("username", '""'), [["/username", `username is empty; ${name}`]]],
    [withField("username", '"\\u0000"'), [["/username", `username holds a NUL character; ${name}`]]],
    [
      withField("username", '"a\\ud800"'),
      [["/username", `username holds half of a surrogate pair; ${name}`]],
    ],
    [
      withField("username", '"\\udc00a"'),
      [["/username", `username holds half of a surrogate pair; ${name}`]],
    ],
    [withField("metric", "1.5"), [["/metric", `metric is 1.5; ${name}`]]],
    [withField("metric", '""'), [["/metric", `metric is empty; ${name}`]]],
    [withField("metric", '"\\u0000m"'), [["/metric", `metric holds a NUL character; ${name}`]]],
    [withField("id", "7"), [["/id", `id is 7; ${name}`]]],
    [withField("id", '""'), [["/id", `id is empty; ${name}`]]],
    [withField("id", "null"), [["/id", `id is null; ${name}`]]],
    [withField("id", '"\\udbff"'), [["/id", `id holds half of a surrogate pair; ${name}`]]],
    [withField("count", '"1"'), [["/count", `count is "1"; ${integer}`]]],
    [withField("count", "null"), [["/count", `count is null; ${integer}`]]],
    [withField("count", "true"), [["/count", `count is true; ${integer}`]]],
    [withField("count", "[1]"), [["/count", `count is an array; ${integer}`]]],
    [withField("count", "0.5"), [["/count", `count is 0.5; ${integer}`]]],
    [withField("count", "-1e-9"), [["/count", `count is -1e-9; ${integer}`]]],
    [withField("count", "1e400"), [["/count", `count is a number out of range; ${integer}`]]],
    [withField("count", "-1e400"), [["/count", `count is a number out of range; ${integer}`]]],
    [withField("count", "9007199254740992"), [["/count", `count is 9007199254740992; ${integer}`]]],
    [withField("count", "-9007199254740992"), [["/count", `count is -9007199254740992; ${integer}`]]],
    [withField("count", "9".repeat(41)), [["/count", `count is 1e+41; ${integer}`]]],
    [withField("timestamp", "null"), [["/timestamp", `timestamp is null; ${instant}`]]],
    [withField("timestamp", "1.5"), [["/timestamp", `timestamp is 1.5; ${instant}`]]],
    [withField("timestamp", '""'), [["/timestamp", `timestamp is no such instant; ${instant}`]]],
    [withField("timestamp", '"now"'), [["/timestamp", `timestamp is no such instant; ${instant}`]]],
    [withField("user", '"x"'), [["/user", `"user" is not a field of an event; ${fields}`]]],
    [withField("a/b~c", "1"), [["/a~1b~0c", `"a/b~c" is not a field of an event; ${fields}`]]],
    [withField("Username", '"x"'), [["/Username", `"Username" is not a field of an event; ${fields}`]]],
    [
      withField("__proto__", '{"username":"x"}'),
      [["/__proto__", `"__proto__" is not a field of an event; ${fields}`]],
    ],
    [
      withField("constructor", "1"),
      [["/constructor", `"constructor" is not a field of an event; ${fields}`]],
    ],
    [withField("toString", "1"), [["/toString", `"toString" is not a field of an event; ${fields}`]]],
    ['{"username":"u","metric":"m"}', [["/count", `count is missing; ${integer}`]]],
    ['{"metric":"m","count":1}', [["/username", `username is missing; ${name}`]]],
    ['{"username":"u","count":1}', [["/metric", `metric is missing; ${name}`]]],
  ])("%s", (json, expected) => {
    expect(faultsOf(json).map(({ pointer, detail }) => [pointer, detail])).toEqual(expected);
  });

  test("a long value is cut, and the cut leaves no half of a surrogate pair", () => {
    const [fault] = faultsOf(withField("count", JSON.stringify(`${"x".repeat(58)}${smile.repeat(9)}`)));
    expect(fault?.detail.isWellFormed()).toBe(true);
    expect(fault?.detail).toContain(`"${"x".repeat(58)}`);
    expect(fault?.detail.length).toBeLessThan(200);
  });

  test("every field's fault is told at once, one message a fault", () => {
    const faults = faultsOf('{"username":"","metric":7,"count":1.5,"id":null,"timestamp":"?","a":1,"b":2}');
    expect(faults.map(({ pointer }) => pointer)).toEqual([
      "/username",
      "/metric",
      "/count",
      "/id",
      "/timestamp",
      "/a",
      "/b",
    ]);
    expect(new Set(faults.map(({ detail }) => detail)).size).toBe(7);
  });

  test("all that are required are told missing of an empty object", () => {
    expect(faultsOf("{}").map(({ pointer }) => pointer)).toEqual(["/username", "/metric", "/count"]);
  });

  test("eight fields that are not known are named, and the others counted", () => {
    const many = Array.from({ length: 20_000 }, (_, field) => `"x${field}":1`).join();
    const faults = faultsOf(`{"username":"","metric":"m","count":1,${many}}`);
    const eight = Array.from({ length: 8 }, (_, field) => `/x${field}`);
    expect(faults.map(({ pointer }) => pointer)).toEqual(["/username", ...eight, ""]);
    expect(faults.at(-1)?.detail).toBe(`more of its fields that are not known: 19992; ${fields}`);
  });

  test("a fault of content does not hide an unknown field, nor the other way round", () => {
    const faults = faultsOf('{"username":"\\u0000","metric":"m","count":1,"x":1}');
    expect(faults.map(({ pointer }) => pointer)).toEqual(["/username", "/x"]);
  });

  test("a field without a name is pointed to, too", () => {
    expect(faultsOf(withField("", "1")).map(({ pointer }) => pointer)).toEqual(["/"]);
  });

  test("any JSON value is either taken or has a fault that says something", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(reject, ignore), (value, rules) => {
        const checked = check(value, rules);
        const faults = checked.ok ? [] : checked.faults;
        expect(faults.length > 0).toBe(!checked.ok);
        for (const { detail } of faults) expect(detail).toMatch(/^.+ (must be|the fields are) .+/s);
      }),
    );
  });
});

describe("a name is measured in code points:", () => {
  test.each([
    ["one letter", "u"],
    ["one space", " "],
    ["256 letters", "u".repeat(256)],
    ["one emoji", smile],
    ["256 emoji, 512 code units", smile.repeat(256)],
    ["a letter with 255 combining marks, one cluster", `e${accent.repeat(255)}`],
    ["36 families of 7 code points", family.repeat(36)],
    ["a line break and a tab", "\n\t"],
    ["the name of a prototype", "__proto__"],
    ["the name of an inherited property", "constructor"],
  ])("%s is taken as it is, in every field for names", (_, text) => {
    expect(eventOf({ username: text, metric: text, count: 1, id: text })).toEqual({
      username: text,
      metric: text,
      count: 1,
      id: `id:${text}`,
      atMs: undefined,
    });
  });

  test.each([
    ["257 letters", long("u")],
    ["257 emoji", long(smile)],
    ["255 letters and 2 emoji", JSON.stringify("u".repeat(255) + smile.repeat(2))],
    ["a letter with 256 combining marks, one cluster", JSON.stringify(`e${accent.repeat(256)}`)],
    ["37 families of 7 code points, 37 clusters", JSON.stringify(family.repeat(37))],
    ["a mebibyte of combining marks", long(accent, 2 ** 19)],
  ])("%s is too long for every field for names", (_, text) => {
    for (const field of ["username", "metric", "id"]) {
      const [fault, ...others] = faultsOf(`{"username":"u","metric":"m","count":1,"${field}":${text}}`);
      expect(others).toEqual([]);
      expect(fault?.pointer).toBe(`/${field}`);
      expect(fault?.detail).toContain(name);
      expect(fault?.detail.length).toBeLessThan(200);
    }
  });
});

describe("a count is any safe integer:", () => {
  test.each([
    ["0", 0],
    ["-0", 0],
    ["-0.0", 0],
    ["1.0", 1],
    ["1e3", 1000],
    ["-1", -1],
    ["9007199254740991", Number.MAX_SAFE_INTEGER],
    ["-9007199254740991", Number.MIN_SAFE_INTEGER],
  ])("%s is %d", (json, count) => {
    // toBe tells 0 from -0.
    expect(eventOfJson(withField("count", json)).count).toBe(count);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY])("%s, which is no JSON, is none", (count) => {
    expect(checkEvent({ ...good, count }, reject, NOW_MS)).toMatchObject({ ok: false });
  });
});

describe("a timestamp names an instant since 1970:", () => {
  test.each([
    ['"2026-11-24T06:00:00Z"', NOW_MS],
    ['"2026-11-24t06:00:00z"', NOW_MS],
    ['"2026-11-24 06:00:00Z"', NOW_MS],
    ['"2026-11-24T06:00:00.0Z"', NOW_MS],
    ['"2026-11-24T05:59:59.999999999Z"', NOW_MS - 1],
    ['"2026-11-24T05:59:59.5Z"', NOW_MS - 500],
    ['"2026-11-24T08:30:00+02:30"', NOW_MS],
    ['"2026-11-23T22:00:00-08:00"', NOW_MS],
    ['"2026-11-24T06:00:00-00:00"', NOW_MS],
    ['"2024-02-29T00:00:00Z"', Date.UTC(2024, 1, 29)],
    ['"2000-02-29T00:00:00Z"', Date.UTC(2000, 1, 29)],
    ['"1970-01-01T00:00:00Z"', 0],
    ['"1970-01-01T01:00:00+01:00"', 0],
    [String(NOW_MS), NOW_MS],
    ["100000000000", 100_000_000_000],
    ["1.7e12", 1_700_000_000_000],
  ])("%s is taken", (json, atMs) => {
    expect(checkJson(withField("timestamp", json))).toMatchObject({ ok: true, event: { atMs } });
  });

  test.each([
    ["31 February", '"2026-02-31T00:00:00Z"'],
    ["29 February of a common year", '"2026-02-29T00:00:00Z"'],
    ["29 February of 1900, before 1970 too", '"1900-02-29T00:00:00Z"'],
    ["29 February of 2100", '"2100-02-29T00:00:00Z"'],
    ["31 April", '"2026-04-31T00:00:00Z"'],
    ["day 0", '"2026-04-00T00:00:00Z"'],
    ["month 0", '"2026-00-01T00:00:00Z"'],
    ["month 13", '"2026-13-01T00:00:00Z"'],
    ["a leap second, which the clock of a computer has not", '"2016-12-31T23:59:60Z"'],
    ["the hour 24", '"2026-11-23T24:00:00Z"'],
    ["the minute 60", '"2026-11-23T23:60:00Z"'],
    ["an offset of 24 hours", '"2026-11-23T00:00:00+24:00"'],
    ["an offset without a colon", '"2026-11-23T00:00:00+0100"'],
    ["no offset", '"2026-11-23T00:00:00"'],
    ["a date alone", '"2026-11-23"'],
    ["a time alone", '"06:00:00Z"'],
    ["a week date", '"2026-W48-1T00:00:00Z"'],
    ["a basic date", '"20261123T000000Z"'],
    ["no seconds", '"2026-11-23T06:00Z"'],
    ["a comma for the fraction", '"2026-11-23T06:00:00,5Z"'],
    ["a point without a fraction", '"2026-11-23T06:00:00.Z"'],
    ["the date of an HTTP header", '"Tue, 24 Nov 2026 06:00:00 GMT"'],
    ["five digits of a year", '"12026-11-23T06:00:00Z"'],
    ["a sign before the year", '"+002026-11-23T06:00:00Z"'],
    ["digits of another script", '"２０２６-11-23T06:00:00Z"'],
    ["blanks around it", '" 2026-11-23T06:00:00Z "'],
    ["a line break after it", '"2026-11-23T06:00:00Z\\n"'],
    ["milliseconds as text", `"${NOW_MS}"`],
    ["an instant before 1970", '"1969-12-31T23:59:59.999Z"'],
    ["seconds instead of milliseconds", String(NOW_MS / 1000)],
    ["seconds of the year 5138", "99999999999"],
    ["microseconds instead of milliseconds", String(NOW_MS * 1000)],
    ["zero", "0"],
    ["a negative number", "-1700000000000"],
    ["more than a date can be", "8640000000000001"],
    ["the first millisecond of the year 10000", "253402300800000"],
    ["the first hour of the year 10000, by its offset", '"9999-12-31T23:30:00-01:00"'],
  ])("%s is rejected", (_, json) => {
    const [fault, ...others] = faultsOf(withField("timestamp", json));
    expect(others).toEqual([]);
    expect(fault?.pointer).toBe("/timestamp");
    expect(fault?.detail).toMatch(/^timestamp is (no such instant|in the future); it must be an RFC 3339 /);
  });

  test.each([
    [0, 0, true],
    [0, 1, false],
    [24 * HOUR_MS, 24 * HOUR_MS, true],
    [24 * HOUR_MS, 24 * HOUR_MS + 1, false],
  ])("with at most %d ms ahead allowed, one %d ms ahead is taken: %s", (maxFutureMs, aheadMs, ok) => {
    const rules = { ...reject, maxFutureMs };
    const atMs = NOW_MS + aheadMs;
    expect(check({ ...good, timestamp: atMs }, rules).ok).toBe(ok);
    expect(check({ ...good, timestamp: new Date(atMs).toISOString() }, rules).ok).toBe(ok);
  });

  test("any instant from 1970 to the limit, as RFC 3339 with any offset, is taken to the millisecond", () => {
    const minutes = fc.integer({ min: -23 * 60 - 59, max: 23 * 60 + 59 });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: NOW_MS }), minutes, (atMs, offset) => {
        const local = atMs + offset * 60_000;
        fc.pre(local >= 0);
        const sign = offset < 0 ? "-" : "+";
        const clock = new Date(Math.abs(offset) * 60_000).toISOString().slice(11, 16);
        const timestamp = new Date(local).toISOString().replace("Z", `${sign}${clock}`);
        expect(eventOf({ ...good, timestamp }).atMs).toBe(atMs);
      }),
    );
  });
});

describe("a field that is not known", () => {
  test("rejects the event, unless configured otherwise", () => {
    expect(check({ ...good, extra: 1 }, reject).ok).toBe(false);
    expect(check({ ...good, extra: 1 }, ignore).ok).toBe(true);
  });

  test("is left out of the event where it is ignored, whatever its name", () => {
    const json = '{"username":"u","metric":"m","count":1,"__proto__":{"id":"x"},"constructor":1,"a":[]}';
    const checked = checkJson(json, ignore);
    expect(checked).toEqual({
      ok: true,
      event: { username: "u", metric: "m", count: 1, id: undefined, atMs: undefined },
    });
    expect(Object.getPrototypeOf({})).not.toHaveProperty("id");
  });

  test("called __proto__ lends its fields to nobody", () => {
    const json = `{"__proto__":${JSON.stringify(good)}}`;
    expect(faultsOf(json, ignore).map(({ pointer }) => pointer)).toEqual(["/username", "/metric", "/count"]);
  });

  test("does not hide the faults of known ones where it is ignored", () => {
    expect(faultsOf('{"username":"","metric":"m","count":1,"extra":1}', ignore)).toHaveLength(1);
  });
});

test("any valid event is taken as it was sent", () => {
  const text = fc
    .string({ unit: "binary", minLength: 1, maxLength: 256 })
    .filter((one) => one.isWellFormed() && !one.includes("\0"));
  const event = fc.record(
    {
      username: text,
      metric: text,
      count: fc.maxSafeInteger(),
      id: text,
      timestamp: fc.integer({ min: 1e11, max: NOW_MS }),
    },
    { requiredKeys: ["username", "metric", "count"] },
  );
  fc.assert(
    fc.property(event, fc.constantFrom(reject, ignore), (one, rules) => {
      const { timestamp: atMs, id, ...rest } = one;
      expect(eventOf(one, rules)).toEqual({ ...rest, id: id === undefined ? undefined : `id:${id}`, atMs });
    }),
  );
});

test("an event keeps nothing of the value it was made of", () => {
  const value = { ...good, id: "1", timestamp: NOW_MS };
  const checked = checkEvent(value, reject, NOW_MS);
  value.username = "another";
  expect(checked).toEqual({ ok: true, event: { ...good, id: "id:1", atMs: NOW_MS } });
});
