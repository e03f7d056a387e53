import { connect } from "amqplib";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { openConnection } from "../../src/adapters/rabbitmq/connection.ts";
import { rabbitmqChecks } from "../../src/adapters/rabbitmq/doctor.ts";
import { declareTopology, EXCHANGE } from "../../src/adapters/rabbitmq/topology.ts";
import { examine, report, type Result, worstOf } from "../../src/commands/doctor.ts";
import { maskOf } from "../../src/domain/diagnosis.ts";
import { freePorts } from "../parts/ports.ts";
import { type BrokerPart, startBrokerPart } from "../parts/parts.ts";

const PASSWORD = "s3cret/of@the:doctor";
const by = (results: readonly Result[], name: string): Result => {
  const found = results.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no result of ${name}`);
  return found;
};

describe.skipIf(inject("ownPartsMissing") !== undefined)("millrace doctor on RabbitMQ", () => {
  let broker: BrokerPart;
  beforeAll(async () => {
    broker = await startBrokerPart();
  });
  afterAll(() => broker?.[Symbol.asyncDispose]());

  let worlds = 0;
  /** A virtual host with a user of its own, who may what these patterns match. */
  const world = async (
    rights: readonly [string, string, string] = [".*", ".*", ".*"],
    tag = "monitoring",
  ) => {
    worlds += 1;
    const name = `doctor${worlds}`;
    await broker.ctl("add_vhost", name);
    await broker.ctl("add_user", name, PASSWORD);
    await broker.ctl("set_permissions", "-p", name, name, ...rights);
    if (tag !== "") await broker.ctl("set_user_tags", name, tag);
    const url = new URL(broker.url);
    url.username = name;
    url.password = encodeURIComponent(PASSWORD);
    url.pathname = `/${name}`;
    const managementUrl = new URL(broker.managementUrl);
    managementUrl.username = name;
    managementUrl.password = url.password;
    return { name, url: url.href, managementUrl: managementUrl.href };
  };
  const look = async (
    { url, managementUrl }: { readonly url: string; readonly managementUrl: string },
    timeoutMs = 20_000,
  ) => {
    await using parts = new AsyncDisposableStack();
    const settings = { brokerUrl: url, brokerManagementUrl: managementUrl, timeoutMs };
    const { checks } = rabbitmqChecks(settings, parts);
    const results = await examine(checks, timeoutMs, maskOf([url, managementUrl]));
    expect(report(results)).not.toContain(PASSWORD);
    expect(report(results)).not.toContain(encodeURIComponent(PASSWORD));
    return results;
  };
  const declare = async (url: string) => {
    const connection = await openConnection({ url }, "test");
    await declareTopology(connection.model);
    await connection.close();
  };
  const queuesOf = async (vhost: string) =>
    (await broker.ctl("list_queues", "-p", vhost, "name", "--silent")).split("\n").filter(Boolean).toSorted();

  test("finds no fault in an empty virtual host, and makes nothing in it", async () => {
    const at = await world();
    const results = await look(at);
    expect(results.map(({ name, level, problems }) => ({ name, level, problems }))).toEqual(
      [
        "broker",
        "broker permissions",
        "broker topology",
        "broker management",
        "broker nodes",
        "broker queues",
      ].map((name) => ({ name, level: "ok", problems: [] })),
    );
    expect(by(results, "broker").found).toMatch(
      /^amqp:\/\/127.0.0.1:\d+: RabbitMQ \d+\.\d+.*'doctor\d+', connected in \d+ ms$/,
    );
    expect(await queuesOf(at.name)).toEqual([]);
    expect(await broker.ctl("list_exchanges", "-p", at.name, "name")).not.toContain(EXCHANGE);
  });

  test("tells what waits, what is dead, and who does not consume; takes no message and changes no queue", async () => {
    const at = await world();
    await declare(at.url);
    expect(by(await look(at), "broker queues")).toMatchObject({
      level: "warning",
      problems: [
        {},
        {},
        { what: "hourlyLog has no consumer", todo: expect.stringContaining("millrace worker hourlyLog") },
      ],
    });
    const model = await connect(at.url);
    const channel = await model.createConfirmChannel();
    channel.publish(EXCHANGE, "", Buffer.from("{}"), { persistent: true });
    channel.publish("", "accountName.dead", Buffer.from("{}"), { persistent: true });
    await channel.waitForConfirms();
    const consuming = await channel.consume("distinctName", () => {});
    const results = await look(at);
    expect(by(results, "broker queues").problems).toMatchObject([
      { level: "fault", what: "1 messages wait in accountName, and nobody takes them" },
      { level: "warning", what: "1 dead letters in accountName" },
      { level: "fault", what: "1 messages wait in hourlyLog, and nobody takes them" },
    ]);
    for (const name of ["broker permissions", "broker topology", "broker nodes"]) {
      expect(by(results, name)).toMatchObject({ level: "ok", problems: [] });
    }
    await channel.cancel(consuming.consumerTag);
    const got = await channel.get("hourlyLog");
    // A delivery before this one would have been counted.
    expect(got).toMatchObject({ fields: { redelivered: false } });
    expect(got === false ? {} : (got.properties.headers ?? {})).not.toHaveProperty("x-delivery-count");
    await model.close();
  });

  const own = String.raw`^(metric-collector.*|(accountName|distinctName|hourlyLog)(\..*)?)$`;
  const withDefault = String.raw`^(amq\.default|metric-collector.*|(accountName|distinctName|hourlyLog)(\..*)?)$`;
  const configures =
    /^it may not configure metric-collector, configure metric-collector.dead, configure accountName.dead/;
  const writes = /^it may not write metric-collector, write metric-collector.dead, write accountName, /;
  const reads =
    /^it may not read metric-collector, read metric-collector.dead, read distinctName, read distinctName.dead, read hourlyLog, read hourlyLog.dead$/;
  const all = /configure hourlyLog.retry.60s.*write amq.default/;
  test.for([
    ["all that the documentation lists", [own, withDefault, own], undefined],
    ["configure nothing", ["^$", withDefault, own], configures],
    ["not write to the default exchange", [own, own, own], /^it may not write amq.default$/],
    ["write to the default exchange alone", [own, "^amq.default$", own], writes],
    ["read one queue alone", [own, withDefault, "^accountName.*$"], reads],
    ["nothing", ["^$", "^$", "^$"], all],
  ] as const)("tells what is amiss with a user who may %s", async ([, rights, words]) => {
    const at = await world(rights);
    const todo = `rabbitmqctl set_permissions -p ${at.name} ${at.name} '${own}' '${withDefault}' '${own}'`;
    const told = expect.stringMatching(words ?? /./) as string;
    const expected = words === undefined ? [] : [{ level: "fault", what: told, todo }];
    expect(by(await look(at), "broker permissions").problems).toEqual(expected);
    await broker.ctl("set_permissions", "-p", at.name, at.name, ".*", ".*", ".*");
    await declare(at.url);
    await broker.ctl("set_permissions", "-p", at.name, at.name, ...rights);
    expect(by(await look(at), "broker permissions").problems).toEqual(expected);
  });

  test("names what is there and is different, what is missing and what is not bound", async () => {
    const at = await world();
    const model = await connect(at.url);
    const channel = await model.createChannel();
    await channel.assertQueue("hourlyLog", { durable: true });
    await channel.assertExchange(EXCHANGE, "topic");
    expect(by(await look(at), "broker topology").problems).toMatchObject([
      {
        level: "fault",
        what: expect.stringMatching(/exchange 'metric-collector' is there with type 'topic'/),
      },
      {
        what: expect.stringMatching(/queue 'hourlyLog' is there with x-[\w-]+ none, where Millrace declares/),
        todo: expect.stringMatching(/^let its consumers empty it, then delete it/),
      },
      { what: expect.stringMatching(/^exchange metric-collector.dead, .*: missing/) },
    ]);
    await channel.deleteQueue("hourlyLog");
    await channel.deleteExchange(EXCHANGE);
    await declare(at.url);
    await channel.unbindQueue("accountName", EXCHANGE, "");
    await channel.deleteQueue("distinctName.retry.10s");
    const results = await look(at);
    expect(by(results, "broker topology").problems).toMatchObject([
      { level: "fault", what: expect.stringMatching(/^queue distinctName.retry.10s: missing/) },
    ]);
    expect(by(results, "broker nodes").problems).toMatchObject([
      { level: "fault", what: expect.stringMatching(/^queue accountName is not bound to metric-collector:/) },
    ]);
    expect(await queuesOf(at.name)).not.toContain("distinctName.retry.10s");
    await model.close();
  });

  test("tells a wrong password, a virtual host that is not there and a user whom the management API refuses", async () => {
    const at = await world(undefined, "");
    const wrong = new URL(at.url);
    wrong.password = "wrong-password";
    expect(by(await look({ ...at, url: wrong.href }), "broker")).toMatchObject({
      level: "fault",
      problems: [{ todo: expect.stringContaining("rabbitmqctl change_password") }],
    });
    const nowhere = new URL(at.url);
    nowhere.pathname = "/nowhere";
    expect(by(await look({ ...at, url: nowhere.href }), "broker")).toMatchObject({
      level: "fault",
      problems: [{ todo: expect.stringContaining("rabbitmqctl add_vhost nowhere") }],
    });
    const results = await look(at);
    expect(by(results, "broker management").problems).toMatchObject([
      { level: "warning", todo: `rabbitmqctl set_user_tags ${at.name} monitoring` },
    ]);
    expect(by(results, "broker nodes").level).toBe("skipped");
    expect(worstOf(results)).toBe("warning");
    const [port = 0] = await freePorts(1);
    const gone = await look({ url: `amqp://127.0.0.1:${port}`, managementUrl: `http://127.0.0.1:${port}` });
    expect(by(gone, "broker").problems[0]?.what).toMatch(/ECONNREFUSED/);
    expect(by(gone, "broker topology")).toMatchObject({
      level: "skipped",
      found: "not looked at: see broker",
    });
  });

  test("tells an alarm, in which it gets through all other checks", async () => {
    const at = await world();
    await broker.ctl("set_vm_memory_high_watermark", "absolute", "1");
    try {
      await expect
        .poll(async () => by(await look(at), "broker nodes").problems, { timeout: 30_000, interval: 500 })
        .toMatchObject([{ level: "fault", what: expect.stringMatching(/is in a memory alarm/) }]);
      const results = await look(at);
      expect(by(results, "broker permissions")).toMatchObject({
        level: "fault",
        problems: [{ what: expect.stringMatching(/^RabbitMQ blocks whoever publishes \(.*memory/) }],
      });
      expect(by(results, "broker topology")).toMatchObject({ level: "ok", problems: [] });
    } finally {
      await broker.ctl("set_vm_memory_high_watermark", "0.6");
    }
  });

  test("does not wait for a broker that is stopped", async () => {
    const at = await world();
    await broker.pause();
    try {
      const results = await look(at, 1000);
      expect(by(results, "broker")).toMatchObject({ level: "fault", problems: [{ level: "fault" }] });
      expect(by(results, "broker permissions").level).toBe("skipped");
      expect(by(results, "broker management").level).not.toBe("ok");
    } finally {
      await broker.resume();
    }
  });
});
