import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { allRoles } from "../../src/compose.ts";
import { readConfig } from "../../src/config.ts";
import { values } from "../../cdk8s/values.ts";
import { parseText, readCompose, restsOf, root, type Service, stagesOf, textOf } from "./files.ts";

const compose = readCompose();
const services = Object.entries(compose.services);
/** The services that are ours, by name. */
const ours = services.filter(([, { image }]) => image.startsWith("millrace:"));
const servers = services.filter(([, { image }]) => !image.startsWith("millrace:"));

const serviceOf = (name: string): Service => {
  const service = compose.services[name];
  if (service === undefined) throw new Error(`compose.yaml has no service ${name}`);
  return service;
};
interface Scrape {
  readonly dns_sd_configs: readonly { readonly names: readonly string[]; readonly port: number }[];
}
const MIB = 1024 * 1024;
const MIB_OF = { m: 1, g: 1024 } as const;
/** Such as "256m" or "1g". */
function mebibytes(text: string): number {
  const [, number, unit] = /^(\d+)([mg])$/.exec(text) ?? [];
  return Number(number) * MIB_OF[unit as keyof typeof MIB_OF];
}
const heapOf = ({ environment }: Service): number =>
  Number(/--max-old-space-size=(\d+)/.exec(environment["NODE_OPTIONS"] ?? "")?.[1]);

test("every role is a service, once", () => {
  const roles = ours.map(([, { command }]) => command?.join(" ").replace("worker ", "") ?? "");
  expect(roles.toSorted()).toEqual(allRoles.toSorted());
  expect(servers.map(([name]) => name).toSorted()).toEqual(["grafana", "mongo", "prometheus", "rabbitmq"]);
});

test("Prometheus and Grafana are there only where they are asked for", () => {
  const optional = services.filter(([, { profiles }]) => profiles !== undefined);
  expect(optional.map(([name, { profiles }]) => [name, profiles])).toEqual([
    ["prometheus", ["monitoring"]],
    ["grafana", ["monitoring"]],
  ]);
});

test("what is asked from outside is published to this machine alone, and nothing else is", () => {
  const published = services
    .filter(([, { ports }]) => ports !== undefined)
    .map(([name, { ports }]) => [name, ports]);
  expect(published).toEqual([
    ["collector", ["127.0.0.1:3000:3000"]],
    ["query", ["127.0.0.1:3001:3001"]],
    ["prometheus", ["127.0.0.1:9090:9090"]],
    ["grafana", ["127.0.0.1:3002:3000"]],
  ]);
});

test("one service builds the image, and none of ours takes it from elsewhere", () => {
  expect(ours.filter(([, { build }]) => build !== undefined).map(([name]) => name)).toEqual(["collector"]);
  expect(new Set(ours.map(([, { image }]) => image)).size).toBe(1);
  expect(ours.filter(([, { pull_policy }]) => pull_policy !== "never")).toEqual([]);
});

test.for(servers)("the image of %s is pinned to a version", ([, { image }]) => {
  expect(image).toMatch(/^[\w/]+:v?\d+\.\d+(\.\d+)?(-\w+)?$/);
});

test("Prometheus and Grafana are those of the chart", () => {
  const { prometheus, grafana } = values.monitoring.bundled;
  const imageOf = ({ repository, tag }: typeof grafana.image) => `${repository.default}:${tag.default}`;
  expect(serviceOf("prometheus").image).toBe(imageOf(prometheus.image));
  expect(serviceOf("grafana").image).toBe(imageOf(grafana.image));
});

test("every file that is given to a service is there, and every dashboard of the chart is given or is the operator's", () => {
  const given = services.flatMap(([, { configs = [] }]) => configs.map(({ source }) => source));
  expect(given.toSorted()).toEqual(Object.keys(compose.configs).toSorted());
  const files = Object.values(compose.configs).map(({ file }) => file);
  for (const file of files) expect(textOf(file)).not.toBe("");
  const folder = "charts/millrace/monitoring/dashboards";
  expect(readdirSync(join(root, folder)).filter((name) => !files.includes(`${folder}/${name}`))).toEqual([
    "millrace-operator.json",
  ]);
});

test("Prometheus and the console read every role, and Grafana reads Prometheus", () => {
  const { scrape_configs: jobs } = parseText("compose/prometheus.yaml") as {
    readonly scrape_configs: readonly Scrape[];
  };
  const names = ours.map(([name]) => name).toSorted();
  expect(jobs.flatMap(({ dns_sd_configs }) => dns_sd_configs.flatMap((one) => one.names)).toSorted()).toEqual(
    names,
  );
  const { adminPort, consoleSources, collectorUrl } = readConfig(serviceOf("query").environment, {});
  for (const { dns_sd_configs } of jobs) expect(dns_sd_configs.map(({ port }) => port)).toEqual([adminPort]);
  const roles = ours.map(([name, { command }]) => `${command?.at(-1)}=${name}:${adminPort}`);
  expect(consoleSources.toSorted()).toEqual(roles.toSorted());
  expect(collectorUrl).toBe("http://collector:3000");
  expect(textOf("compose/grafana-sources.yaml")).toContain("http://prometheus:9090");
});

describe("confinement", () => {
  test.for(services)("%s can gain and write nothing, and cannot take all memory", ([, service]) => {
    expect(service).toMatchObject({
      read_only: true,
      cap_drop: ["ALL"],
      security_opt: ["no-new-privileges:true"],
      restart: "unless-stopped",
    });
    expect(service.cap_add).toBeUndefined();
    expect(service.privileged).toBeUndefined();
    expect(mebibytes(service.mem_limit)).toBeGreaterThan(0);
  });

  test.for(services)("%s does not run as root", ([, { user, image }]) => {
    const imageUser = restsOf(stagesOf(textOf("Dockerfile")).at(-1) ?? [], "USER").at(-1);
    expect(image.startsWith("millrace:") ? (user ?? imageUser) : user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  });

  test("only servers have volumes, each a named one that the file declares", () => {
    const mounts = services.flatMap(([name, { volumes = [] }]) =>
      volumes.map((one) => [name, one.split(":")[0]]),
    );
    expect(mounts).toEqual(Object.keys(compose.volumes).map((name) => [name, name]));
  });

  test("the broker keeps its name, which is part of the path of its data", () => {
    expect(serviceOf("rabbitmq").hostname).toBe("rabbitmq");
  });
});

describe("each of our services", () => {
  const configOf = ({ environment }: Service) => readConfig(environment, {});

  test.for(ours)("%s has settings that there are, with values that are allowed", ([, service]) => {
    const config = configOf(service);
    const [broker, store] = [new URL(config.brokerUrl), new URL(config.storeUrl)];
    expect([broker.hostname, broker.port]).toEqual(["rabbitmq", "5672"]);
    expect([store.hostname, store.port]).toEqual(["mongo", "27017"]);
    expect([broker.username, broker.password]).toEqual([
      serviceOf("rabbitmq").environment["RABBITMQ_DEFAULT_USER"],
      serviceOf("rabbitmq").environment["RABBITMQ_DEFAULT_PASS"],
    ]);
    expect([store.username, store.password]).toEqual([
      serviceOf("mongo").environment["MONGO_INITDB_ROOT_USERNAME"],
      serviceOf("mongo").environment["MONGO_INITDB_ROOT_PASSWORD"],
    ]);
  });

  test.for(ours)("%s has a limit of memory that twice its heap fits in", ([, service]) => {
    expect(heapOf(service)).toBeGreaterThan(0);
    expect(mebibytes(service.mem_limit)).toBeGreaterThanOrEqual(2 * heapOf(service));
  });

  test.for(ours)("%s has a heap for the longest message", ([, service]) => {
    const { batchMaxBytes } = configOf(service);
    // Measured: a worker takes up to four times what its messages have, and 64 MiB; a long one it takes alone.
    const inHand = service.command?.[0] === "worker" ? batchMaxBytes / MIB : 0;
    expect(heapOf(service)).toBeGreaterThanOrEqual(64 + 4 * inHand);
  });

  test.for(ours)("%s is given longer to stop than it takes to drain", ([, service]) => {
    const seconds = Number(/^(\d+)s$/.exec(service.stop_grace_period)?.[1]);
    expect(seconds * 1000).toBeGreaterThan(configOf(service).drainTimeoutMs);
  });

  test.for(ours)("%s can be scaled unless it has a port", ([, { container_name, hostname, ports }]) => {
    expect(container_name).toBeUndefined();
    expect(ports === undefined && hostname !== undefined).toBe(false);
  });

  test.for(ours)("%s waits for services that tell whether they are well", ([, { depends_on = {} }]) => {
    expect(Object.keys(depends_on).toSorted()).toEqual(["mongo", "rabbitmq"]);
    for (const [name, { condition }] of Object.entries(depends_on)) {
      expect(condition).toBe("service_healthy");
      expect(serviceOf(name).healthcheck.test?.length).toBeGreaterThan(1);
    }
  });
});

test.for(["README.md", "compose.yaml"])("what %s says to scale is a service that can be", (file) => {
  const named = Array.from(textOf(file).matchAll(/--scale ([\w-]+)=/g), ([, name = ""]) => name);
  expect(named.length).toBeGreaterThan(0);
  for (const name of named) expect(serviceOf(name).ports).toBeUndefined();
});
