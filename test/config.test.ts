import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { readConfig, shownConfig } from "../src/config.ts";
import { flagOf, type SettingName, settingNames, settings, variableOf } from "../src/settings.ts";
import { MillraceError } from "../src/errors.ts";
import { childEnvironment, millraceBin } from "./flow/standalone.ts";

type Environment = Readonly<Record<string, string | undefined>>;
type Flags = Readonly<Partial<Record<SettingName, string>>>;

const folder = mkdtempSync(join(tmpdir(), "millrace-config-"));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;
function fileOf(content: string): string {
  const path = join(folder, String((files += 1)));
  writeFileSync(path, content);
  return path;
}

const hash = "0123456789abcdef".repeat(4);
const otherHash = "fedcba9876543210".repeat(4);
const secrets = settingNames.filter((name) => settings[name].secret);

/** The lines of the error that these settings stop the start with. */
function faultsOf(environment: Environment, flags: Flags = {}): readonly string[] {
  try {
    readConfig(environment, flags);
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== "INVALID_SETTING") throw error;
    return (error.detail ?? "").split("\n");
  }
  return [];
}
function shown(environment: Environment): Record<string, string> {
  return Object.fromEntries(shownConfig(readConfig(environment, {})).map(({ name, value }) => [name, value]));
}

describe("a setting", () => {
  test("has its default where nothing says otherwise", () => {
    const config = readConfig({}, {});
    expect(Object.keys(config)).toEqual(settingNames);
    for (const name of settingNames) expect(config[name]).toEqual(settings[name].default);
  });

  test.each([
    ["host", "127.0.0.1"],
    ["collectorPort", 3000],
    ["queryPort", 3001],
    ["adminPort", 9090],
    ["brokerUrl", "embedded:"],
    ["storeUrl", "embedded:"],
    ["dataDir", "./data"],
    ["unknownFields", "reject"],
    ["dedupWindowMs", 86_400_000],
    ["keepDays", 30],
    ["keepMonths", 0],
    ["writeKeyHashes", []],
    ["keysFile", ""],
    ["keysRequiredFor", ["write", "read", "admin"]],
    ["corsOrigins", []],
    ["rateLimitPerSecond", 0],
  ] as const)("%s is by default %j, as documented", (name, value) => {
    expect(readConfig({}, {})[name]).toEqual(value);
  });

  test.each(settingNames)("%s has a default that is allowed, written as a variable would be", (name) => {
    const text = String(settings[name].default);
    expect(readConfig({ [variableOf(name)]: text }, {})[name]).toEqual(settings[name].default);
  });

  test.each([
    ["collectorPort", "MILLRACE_COLLECTOR_PORT", "--collector-port"],
    ["host", "MILLRACE_HOST", "--host"],
    ["dedupWindowMs", "MILLRACE_DEDUP_WINDOW_MS", "--dedup-window-ms"],
    ["writeKeyHashes", "MILLRACE_WRITE_KEY_HASHES", "--write-key-hashes"],
  ] as const)("%s is the variable %s and the flag %s", (name, variable, flag) => {
    expect(variableOf(name)).toBe(variable);
    expect(flagOf(name)).toBe(flag);
  });

  test("has a name that no other's variable or flag is, and a sentence", () => {
    expect(new Set(settingNames.map(variableOf)).size).toBe(settingNames.length);
    expect(new Set(settingNames.map(flagOf)).size).toBe(settingNames.length);
    for (const name of settingNames) expect(settings[name].sentence).toMatch(/^[A-Z].+\.$/);
  });

  test.each([
    ["the default", {}, {}, 3000],
    ["the variable over the default", { MILLRACE_COLLECTOR_PORT: "3100" }, {}, 3100],
    ["the flag over the default", {}, { collectorPort: "3200" }, 3200],
    ["the flag over the variable", { MILLRACE_COLLECTOR_PORT: "3100" }, { collectorPort: "3200" }, 3200],
    ["the default, where the variable is empty", { MILLRACE_COLLECTOR_PORT: "" }, {}, 3000],
    ["the default, where the variable is undefined", { MILLRACE_COLLECTOR_PORT: undefined }, {}, 3000],
    [
      "the flag, though the variable is wrong",
      { MILLRACE_COLLECTOR_PORT: "x" },
      { collectorPort: "3200" },
      3200,
    ],
  ])("is %s", (_, environment, flags, port) => {
    expect(readConfig(environment, flags).collectorPort).toBe(port);
  });

  test.each([
    ["corsOrigins", "", []],
    ["corsOrigins", "*", ["*"]],
    ["corsOrigins", "https://a.example", ["https://a.example"]],
    [
      "corsOrigins",
      " https://a.example , http://localhost:8080 ",
      ["https://a.example", "http://localhost:8080"],
    ],
    ["writeKeyHashes", `${hash},${otherHash}`, [hash, otherHash]],
    ["collectorPort", "0", 0],
    ["collectorPort", "65535", 65_535],
    ["eventMaxBytes", "256", 256],
    ["eventMaxBytes", "16777216", 16_777_216],
    ["host", "::1", "::1"],
    ["host", "0.0.0.0", "0.0.0.0"],
    ["dataDir", "a folder/with blanks", "a folder/with blanks"],
    ["unknownFields", "ignore", "ignore"],
    ["brokerUrl", "amqp://user:password@rabbitmq:5672/%2f", "amqp://user:password@rabbitmq:5672/%2f"],
    ["brokerUrl", "amqps://rabbitmq", "amqps://rabbitmq"],
    ["brokerManagementUrl", "https://rabbitmq:15671", "https://rabbitmq:15671"],
    [
      "storeUrl",
      "mongodb://a:27017,b:27017/millrace?replicaSet=rs0",
      "mongodb://a:27017,b:27017/millrace?replicaSet=rs0",
    ],
    ["storeUrl", "mongodb+srv://cluster.example/millrace", "mongodb+srv://cluster.example/millrace"],
    ["logLevel", "debug", "debug"],
  ] as const)("%s takes %j", (name, text, value) => {
    expect(readConfig({ [variableOf(name)]: text }, {})[name]).toEqual(value);
  });

  test("cannot be changed once it is read", () => {
    expect(Object.isFrozen(readConfig({}, {}))).toBe(true);
  });
});

describe("an invalid value stops the start with the name, the value and what is allowed:", () => {
  test.each([
    ["collectorPort", "http", "an integer from 0 to 65535"],
    ["collectorPort", "-1", "an integer from 0 to 65535"],
    ["collectorPort", "65536", "an integer from 0 to 65535"],
    ["collectorPort", "3e3", "an integer from 0 to 65535"],
    ["collectorPort", "0x10", "an integer from 0 to 65535"],
    ["collectorPort", "3000.5", "an integer from 0 to 65535"],
    ["collectorPort", " 3000", "an integer from 0 to 65535"],
    ["collectorPort", "tcp://10.0.0.1:3000", "an integer from 0 to 65535"],
    ["collectorPort", "9".repeat(400), "an integer from 0 to 65535"],
    ["collectorPort", "\u0663\u0660\u0660\u0660", "an integer from 0 to 65535"],
    ["eventMaxBytes", "255", "an integer from 256 to 16777216"],
    ["eventMaxBytes", "16777217", "an integer from 256 to 16777216"],
    ["keepDays", "0", "an integer from 1 to 3650"],
    ["keepMonths", "-1", "an integer from 0 to 1200"],
    ["host", "local host", "an address to listen on"],
    ["host", "http://localhost", "an address to listen on"],
    ["unknownFields", "drop", "'reject' or 'ignore'"],
    ["unknownFields", "Reject", "'reject' or 'ignore'"],
    ["unknownFields", "toString", "'reject' or 'ignore'"],
    ["logLevel", "trace", "'debug' or 'info' or 'warn' or 'error'"],
    ["logFormat", "xml", "'auto' or 'json' or 'pretty'"],
    ["corsOrigins", "example.org", "a comma-separated list of origins such as https://example.org, or *"],
    [
      "corsOrigins",
      "https://a.example/path",
      "a comma-separated list of origins such as https://example.org, or *",
    ],
    [
      "corsOrigins",
      "https://a.example,",
      "a comma-separated list of origins such as https://example.org, or *",
    ],
  ] as const)("%s %j", (name, text, allowed) => {
    expect(faultsOf({ [variableOf(name)]: text })).toEqual([
      `${variableOf(name)} is ${JSON.stringify(text)}; it must be ${allowed}`,
    ]);
    expect(faultsOf({}, { [name]: text })).toEqual([
      `${flagOf(name)} is ${JSON.stringify(text)}; it must be ${allowed}`,
    ]);
  });

  test("every fault is listed, each on its line", () => {
    const lines = faultsOf(
      {
        MILLRACE_COLLECTOR_PORT: "x",
        MILLRACE_KEEP_DAYS: "0",
        MILLRACE_PORT: "1",
        MILLRACE_STORE_URL_FILE: folder,
      },
      { logLevel: "loud" },
    );
    expect(lines).toHaveLength(5);
    for (const start of [
      "MILLRACE_PORT is not a setting",
      'MILLRACE_COLLECTOR_PORT is "x"; it must be',
      'MILLRACE_KEEP_DAYS is "0"; it must be',
      "MILLRACE_STORE_URL_FILE cannot be read: ",
      '--log-level is "loud"; it must be',
    ]) {
      expect(lines.filter((line) => line.startsWith(start))).toHaveLength(1);
    }
  });

  test.each(settingNames)("%s says what is allowed of a value that it does not take", (name) => {
    const [line = "", ...others] = faultsOf({ [variableOf(name)]: /(Dir|File)$/.test(name) ? "\n" : "," });
    expect(others).toEqual([]);
    expect(line).toContain(variableOf(name));
    expect(line).toContain(`it must be ${settings[name].allowed}`);
  });
});

describe("an unknown variable", () => {
  test.each([
    "MILLRACE_PORT",
    "MILLRACE_COLLECTOR_PROT",
    "MILLRACE_collectorPort",
    "MILLRACE_",
    "MILLRACE_COLLECTOR_PORT_FILE",
    "MILLRACE_BROKER_URL_FILE_FILE",
  ])("called %s is an error that names it", (variable) => {
    expect(faultsOf({ [variable]: "1" })).toEqual([
      `${variable} is not a setting; see \`millrace config\` for those there are`,
    ]);
  });

  test("is named without its value, which may be a secret", () => {
    expect(faultsOf({ MILLRACE_PASSWORD: "hunter2" }).join()).not.toContain("hunter2");
  });

  test("of anybody else is left alone", () => {
    expect(faultsOf({ PATH: "/bin", millrace_port: "1", XMILLRACE_PORT: "1", MILLRACE: "1" })).toEqual([]);
  });
});

describe("a secret", () => {
  test("may come from a file, without the line break at its end", () => {
    const path = fileOf(`${hash}\n`);
    expect(readConfig({ MILLRACE_WRITE_KEY_HASHES_FILE: path }, {}).writeKeyHashes).toEqual([hash]);
  });

  test("may come from a variable beside an empty _FILE", () => {
    const environment = { MILLRACE_WRITE_KEY_HASHES: hash, MILLRACE_WRITE_KEY_HASHES_FILE: "" };
    expect(readConfig(environment, {}).writeKeyHashes).toEqual([hash]);
  });

  test.each([
    ["brokerUrl", "amqp://user:hunter2@host:port/v"],
    ["brokerUrl", "http://user:hunter2@host"],
    ["brokerManagementUrl", "http://user:hunter2@host:99999"],
    ["storeUrl", "mysql://user:hunter2@host"],
  ] as const)("%s that is no such address stops the start, without its password", (name, value) => {
    const [line] = faultsOf({ [variableOf(name)]: value });
    expect(line).toContain(`${variableOf(name)} is ***; it must be ${settings[name].allowed}`);
    expect(line).not.toContain("hunter2");
  });

  test.for([
    ["http://ann:hunter2@collector:3000/x?y", "http://ann:***@collector:3000/x?y"],
    ["http://:hunter2@collector", "http://:***@collector"],
    ["http://ann:hunter2,@hunter2@collector:3000", "http://ann:***@collector:3000"],
    ["http://ann@collector:3000", "http://ann@collector:3000"],
    ["https://collector.example:3000/a:b@c", "https://collector.example:3000/a:b@c"],
  ] as const)("in an address that is no secret itself, %s, is shown as ***", ([value, text]) => {
    expect(shown({ MILLRACE_COLLECTOR_URL: value })).toMatchObject({ collectorUrl: text });
  });

  test.for(["ann:hunter2@host", "ftp://ann:hunter2@host"])(
    "in %j, which stops the start, is not told",
    (value) => {
      const [line] = faultsOf({ MILLRACE_COLLECTOR_URL: value });
      expect(line).toContain("MILLRACE_COLLECTOR_URL is ");
      expect(line).toContain("ann:***@host");
    },
  );

  test("whose file cannot be read stops the start, with the variable and the reason", () => {
    const path = join(folder, "none");
    expect(faultsOf({ MILLRACE_WRITE_KEY_HASHES_FILE: path })).toEqual([
      expect.stringMatching(/^MILLRACE_WRITE_KEY_HASHES_FILE cannot be read: ENOENT.*none/),
    ]);
  });

  test.each(secrets)("called %s is not told in an error, wherever it comes from", (name) => {
    const value = "hunter2 hunter2";
    const from = [
      faultsOf({ [variableOf(name)]: value }),
      faultsOf({ [`${variableOf(name)}_FILE`]: fileOf(value) }),
      faultsOf({}, { [name]: value }),
    ];
    for (const lines of from) {
      expect(lines).toHaveLength(1);
      expect(lines[0]).toContain("***");
      expect(lines[0]).toContain(settings[name].allowed);
      expect(lines.join()).not.toContain("hunter2");
    }
  });

  test("that is set is shown as ***, and one that is not is shown as its default", () => {
    expect(shown({ MILLRACE_WRITE_KEY_HASHES: hash })).toMatchObject({ writeKeyHashes: "***" });
    expect(shown({ MILLRACE_WRITE_KEY_HASHES_FILE: fileOf(hash) })).toMatchObject({ writeKeyHashes: "***" });
    expect(shown({})).toMatchObject({ writeKeyHashes: "", brokerUrl: "embedded:", storeUrl: "embedded:" });
  });

  test("is an address of broker and store, which may hold a password, and the hashes of the write keys", () => {
    expect(secrets).toEqual(["brokerUrl", "brokerManagementUrl", "storeUrl", "writeKeyHashes"]);
  });
});

test("the values in effect are shown one a setting, in order, lists by commas", () => {
  const all = shownConfig(readConfig({ MILLRACE_CORS_ORIGINS: "http://a.example, http://b.example" }, {}));
  expect(all.map(({ name }) => name)).toEqual(settingNames);
  expect(all).toContainEqual({ name: "corsOrigins", value: "http://a.example,http://b.example" });
});

describe("the command", () => {
  interface Ended {
    readonly code: unknown;
    readonly stdout: string;
    readonly stderr: string;
  }
  async function millrace(args: readonly string[], environment: Record<string, string> = {}): Promise<Ended> {
    const options = { env: childEnvironment(environment), cwd: folder };
    const run = promisify(execFile)(process.execPath, [millraceBin, ...args], options);
    return run.then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      (error: Ended) => error,
    );
  }

  test("config prints every variable with its value, flags over variables, secrets masked", async () => {
    const environment = {
      MILLRACE_COLLECTOR_PORT: "3100",
      MILLRACE_QUERY_PORT: "3101",
      MILLRACE_WRITE_KEY_HASHES: hash,
    };
    const { code, stdout, stderr } = await millrace(["config", "--query-port", "3201"], environment);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const values = new Map(stdout.split("\n").map((line) => line.split(/ {2,}/, 2) as [string, string]));
    for (const name of settingNames) expect(values.has(variableOf(name))).toBe(true);
    expect(values.get("MILLRACE_COLLECTOR_PORT")).toBe("3100");
    expect(values.get("MILLRACE_QUERY_PORT")).toBe("3201");
    expect(values.get("MILLRACE_WRITE_KEY_HASHES")).toBe("***");
    expect(stdout).not.toContain(hash);
  });

  test.each(["standalone", "collector", "query", "sweeper", "config"])(
    "%s ends with 1 and the whole list of faults, and starts nothing",
    async (command) => {
      const environment = {
        MILLRACE_COLLECTOR_PORT: "x",
        MILLRACE_PORTS: "1",
        MILLRACE_WRITE_KEY_HASHES: "hunter2",
      };
      const { code, stdout, stderr } = await millrace([command], environment);
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toContain('MILLRACE_COLLECTOR_PORT is "x"; it must be an integer from 0 to 65535');
      expect(stderr).toContain("MILLRACE_PORTS is not a setting");
      expect(stderr).toContain("MILLRACE_WRITE_KEY_HASHES is ***");
      expect(stderr).not.toContain("hunter2");
    },
  );

  test("takes no secret as a flag, where every user of the machine could read it", async () => {
    const { code, stderr } = await millrace(["config", "--write-key-hashes", hash]);
    expect(code).not.toBe(0);
    expect(stderr).toContain("unknown option '--write-key-hashes'");
  });
});
