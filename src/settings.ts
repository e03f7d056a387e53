import { choice, integer, type Kind, list, matching, port, url } from "./setting-kinds.ts";

export interface Setting<T> extends Kind<T> {
  readonly default: T;
  readonly sentence: string;
  readonly secret: boolean;
}

const setting = <T>(kind: Kind<T>, fallback: T, sentence: string): Setting<T> => ({
  ...kind,
  default: fallback,
  sentence,
  secret: false,
});
const secret = <T>(kind: Kind<T>, fallback: T, sentence: string): Setting<T> => ({
  ...setting(kind, fallback, sentence),
  secret: true,
});

const MIB = 1024 * 1024;
const HOUR_MS = 3_600_000;
const file = matching(/^.*$/, "the path of a file");

/** Every setting once. `collectorPort` is the variable MILLRACE_COLLECTOR_PORT and the flag --collector-port. */
export const settings = {
  host: setting(
    matching(/^[\w.:-]+$/, "an address to listen on"),
    "127.0.0.1",
    "Address that every server listens on.",
  ),
  allowedHosts: setting(
    list(/^(\*|[\w.-]+)$/, "host names without ports, or *"),
    [] as readonly string[],
    "Names that a request's Host header may have beside localhost and addresses; by default any where the servers listen beyond the loopback, and no other where they do not.",
  ),
  collectorPort: setting(port, 3000, "Port of the collector."),
  queryPort: setting(port, 3001, "Port of the query API."),
  adminPort: setting(port, 9090, "Port of /metrics, /healthz and /readyz."),
  brokerUrl: secret(
    url(/^(embedded:|amqps?:\/\/\S+)$/, "'embedded:', or amqp:// or amqps:// with a host"),
    "embedded:",
    "Where the broker is; RabbitMQ's virtual host is the path.",
  ),
  brokerManagementUrl: secret(
    url(/^(|https?:\/\/\S+)$/, "http:// or https:// with a host"),
    "",
    "RabbitMQ's management API, which tells how much is in a queue; by default port 15672 (15671 with TLS) of the broker's host, with the broker's credentials.",
  ),
  storeUrl: secret(
    matching(
      /^(embedded:|mongodb(\+srv)?:\/\/\S+)$/,
      "'embedded:', or mongodb:// or mongodb+srv:// with a host",
    ),
    "embedded:",
    "Where the store is; MongoDB's database is the path, 'millrace' by default.",
  ),
  storePoolSize: setting(integer(1, 1000), 10, "Most connections of one process to MongoDB."),
  storeTimeoutMs: setting(
    integer(100, 600_000),
    10_000,
    "Longest time that one operation of MongoDB may take, with the search for a server, in milliseconds.",
  ),
  brokerCaFile: setting(file, "", "PEM file of the authorities that sign the broker's certificate."),
  brokerCertFile: setting(
    file,
    "",
    "PEM file of the certificate that is shown to a broker that asks for one.",
  ),
  brokerKeyFile: setting(file, "", "PEM file of that certificate's private key."),
  storeCaFile: setting(
    file,
    "",
    "PEM file of the authorities that sign the store's certificate; with any of these three the store is spoken to with TLS.",
  ),
  storeCertFile: setting(file, "", "PEM file of the certificate that is shown to a store that asks for one."),
  storeKeyFile: setting(file, "", "PEM file of that certificate's private key."),
  dataDir: setting(matching(/./, "a folder"), "./data", "Folder of the embedded broker's and store's files."),

  serverCertFile: setting(
    file,
    "",
    "PEM file of a certificate, with which the collector and the query API are served with TLS; the admin port is not.",
  ),
  serverKeyFile: setting(file, "", "PEM file of that certificate's private key."),
  serverClientCaFile: setting(
    file,
    "",
    "PEM file of authorities; a client must show a certificate that one of them has signed.",
  ),

  eventMaxBytes: setting(integer(256, 16 * MIB), 64 * 1024, "Longest body of POST /event, in bytes."),
  batchMaxBytes: setting(
    integer(1024, 16 * MIB),
    5 * MIB,
    "Longest body of POST /events, in bytes, before and after inflation.",
  ),
  batchMaxEvents: setting(integer(1, 100_000), 10_000, "Most events in one POST /events."),
  unknownFields: setting(
    choice("reject", "ignore"),
    "reject",
    "Whether an event with a field that is not known is rejected, or taken without that field.",
  ),
  maxFutureMs: setting(
    integer(0, 720 * HOUR_MS),
    24 * HOUR_MS,
    "How far ahead of this clock an event's timestamp may be, in milliseconds.",
  ),
  messageMaxEvents: setting(
    integer(1, 100_000),
    1000,
    "How many events the collector groups into one message before it starts the next; one request is never split.",
  ),
  unconfirmedMaxBytes: setting(
    integer(MIB, 4096 * MIB),
    8 * MIB,
    "Bytes of requests in hand (arriving, or not yet confirmed by the broker) above which the answer is 503.",
  ),
  confirmTimeoutMs: setting(
    integer(100, 600_000),
    5000,
    "Longest wait for a publisher confirm, in milliseconds, before the answer is 503.",
  ),
  requestTimeoutMs: setting(
    integer(100, 600_000),
    30_000,
    "Longest time a request may take to arrive, in milliseconds, before its connection is closed.",
  ),
  writeKeyHashes: secret(
    list(/^[0-9a-f]{64}$/, "SHA-256 hashes in lower-case hexadecimal"),
    [] as readonly string[],
    "Hashes of keys that may write and have no limits of their own (see `millrace key`). Without any, and without a file of keys, anyone may.",
  ),
  keysFile: setting(
    matching(/^[^\0\n]*$/, "the name of a file"),
    "",
    "File of the keys that may write, read or do more (see `millrace keys`); what changes in it holds without a restart.",
  ),
  keysRequiredFor: setting(
    list(/^(write|read|admin)$/, "'write', 'read' or 'admin'"),
    ["write", "read", "admin"] as readonly string[],
    "What needs a key where there is a file of keys: posting events, reading the views, and the dead letters.",
  ),
  corsOrigins: setting(
    list(/^(\*|https?:\/\/[^\s/]+)$/, "origins such as https://example.org, or *"),
    [] as readonly string[],
    "Origins whose pages may post events; with any, `text/plain` bodies are read as JSON too.",
  ),
  rateLimitPerSecond: setting(
    integer(0, 1_000_000),
    0,
    "Requests a second that one key without a rate of its own (or address, without keys) may make of one collector; 0 for no limit.",
  ),

  maxWaitSeconds: setting(
    integer(1, 86_400),
    30,
    "The objective that lateness is told by: no event should wait longer from its acceptance to the store, in seconds.",
  ),
  prefetch: setting(integer(1, 10_000), 256, "Most unsettled deliveries that a worker holds."),
  maxAttempts: setting(integer(1, 1000), 20, "Attempts after which a delivery becomes a dead letter."),
  retryDelayMs: setting(
    integer(1, HOUR_MS),
    1000,
    "Wait before the second attempt, in milliseconds; it doubles with each further one, up to a minute.",
  ),
  knownNames: setting(
    integer(0, 10_000_000),
    100_000,
    "Usernames that the accountName worker keeps in memory.",
  ),
  dedupWindowMs: setting(
    integer(60_000, 720 * HOUR_MS),
    24 * HOUR_MS,
    "How long event ids and message ids are remembered, in milliseconds.",
  ),
  keepDays: setting(integer(1, 3650), 30, "Days that are kept as days before they are merged into months."),
  keepMonths: setting(
    integer(0, 1200),
    0,
    "Months before the running one that are kept; older ones are deleted once all their days are merged. 0 for all of them, for ever.",
  ),
  sweepIntervalMs: setting(
    integer(100, HOUR_MS),
    10_000,
    "Pause between two rounds of expiry and month merge, in milliseconds.",
  ),
  backlogMaxBytes: setting(
    integer(MIB, 2 ** 50),
    4096 * MIB,
    "Size of the embedded broker's file, in bytes, above which it refuses messages.",
  ),

  operatorNamespaces: setting(
    list(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, "namespaces"),
    [] as readonly string[],
    "Namespaces whose QueueScalers the operator works on; without any, all of them.",
  ),
  operatorLeaseNamespace: setting(
    matching(/^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$/, "a namespace"),
    "",
    "Namespace of the Lease by which one of several operators leads; by default that of the pod.",
  ),
  operatorLeaseName: setting(
    matching(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, "a name"),
    "millrace-operator",
    "Name of that Lease; operators that share it work in turn.",
  ),

  console: setting(
    choice("on", "off"),
    "on",
    "Whether the query API serves the live page, and with it dead letters and test events.",
  ),
  consoleSources: setting(
    list(
      /^(collector|query|sweeper|accountName|distinctName|hourlyLog|operator)=[\w.-]+:\d{1,5}$/,
      "role=host:port, each the admin port of a role",
    ),
    [] as readonly string[],
    "Where that page reads its figures; a host may have many addresses. Standalone reads its own.",
  ),
  collectorUrl: setting(
    url(/^(|https?:\/\/\S+)$/, "http:// or https:// with a host"),
    "",
    "Collector that the page's test events are passed on to; standalone has its own.",
  ),
  queryMaxRows: setting(integer(1, 10_000), 1000, "Most rows in one answer of the query API."),
  drainTimeoutMs: setting(
    integer(0, 600_000),
    10_000,
    "Longest time between SIGTERM and exit, in milliseconds, in which work in hand is finished.",
  ),
  logLevel: setting(
    choice("debug", "info", "warn", "error"),
    "info",
    "Least severe log line that is written.",
  ),
  logFormat: setting(
    choice("auto", "json", "pretty"),
    "auto",
    "Form of the log: pretty on a terminal and JSON elsewhere with auto.",
  ),
} as const;

type Settings = typeof settings;
export type SettingName = keyof Settings;
export type Config = { readonly [K in SettingName]: Settings[K] extends Setting<infer T> ? T : never };

export const settingNames = Object.keys(settings) as SettingName[];

export function variableOf(name: SettingName): string {
  return `MILLRACE_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}
export function flagOf(name: SettingName): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
