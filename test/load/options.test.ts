import { describe, expect, test } from "vitest";
import { readOptions } from "../../load/options.ts";

test("without options it is the original's load, on a page, against a standalone", () => {
  expect(readOptions([])).toMatchObject({
    where: { kind: "standalone" },
    shape: "event",
    headless: false,
    webHost: "127.0.0.1",
    webPort: 8010,
    users: 200,
    spawnRate: 20,
    time: undefined,
  });
});

test.for([
  [["--real"], { kind: "real" }],
  [["--kind"], { kind: "kind", cluster: "millrace" }],
  [["--kind", "--name", "other"], { kind: "kind", cluster: "other" }],
  [["--compose"], { kind: "compose" }],
  [
    ["--url", "http://a:1/", "--query-url", "https://b/x/"],
    { kind: "url", collectorUrl: "http://a:1", queryUrl: "https://b/x" },
  ],
] as const)("%j says where the events go", ([words, where]) => {
  expect(readOptions(words)?.where).toEqual(where);
});

test.for(["30", "30s", "5m", "1h30m", "1h5s"])("%s is a time", (time) => {
  expect(readOptions(["--time", time])?.time).toBe(time);
});

describe("what is wrong is named, with what is allowed", () => {
  test.for([
    [["--shape", "square"], '--shape is "square"; it must be one of event, batch'],
    [["--users", "0"], '--users is "0"; it must be an integer from 1'],
    [["--users", "1.5"], '--users is "1.5"'],
    [["--spawn-rate", "x"], '--spawn-rate is "x"'],
    [["--time", "soon"], '--time is "soon"; it must be seconds, or such as 30s'],
    [["--time", ""], '--time is ""'],
    [["--pause", "-1"], "--pause"],
    [["--pause="], '--pause is ""'],
    [["--web-port", "99999"], "99999 is no port"],
    [["--real", "--kind"], "only one of --real, --kind, --compose and --url"],
    [["--name", "a"], "--name goes with --kind"],
    [["--url", "http://a"], "--url and --query-url go together"],
    [["--query-url", "http://a"], "--url and --query-url go together"],
    [["--url", "a", "--query-url", "http://a"], '--url is "a"; it must be like http://127.0.0.1:3000'],
    [["--unheard-of"], "--unheard-of"],
  ] as const)("%j", ([words, message]) => {
    expect(() => readOptions(words)).toThrow(message);
  });
});
