import type { AlertCases } from "./alert-cases.ts";

const messages = (state: string, instance = "worker-1"): string =>
  `millrace_queue_messages{namespace="shop",instance="${instance}",queue="hourlyLog",state="${state}"}`;
const deliveries = (outcome: string): string =>
  `millrace_deliveries_total{namespace="shop",instance="worker-1",queue="hourlyLog",outcome="${outcome}"}`;
const events = (outcome: string): string =>
  `millrace_events_total{namespace="shop",instance="collector-1",outcome="${outcome}"}`;
const ofWorker = (metric: string, more = ""): string =>
  `${metric}{namespace="shop",instance="worker-1",queue="hourlyLog"${more}}`;
const of = (metric: string, instance: string, more = ""): string =>
  `${metric}{namespace="shop",instance="${instance}"${more}}`;

const age = ofWorker("millrace_oldest_delivery_age_seconds");
const objective = ofWorker("millrace_wait_objective_seconds");
const failures = ofWorker("millrace_store_failures_total", ',operation="apply",code="STORE_UNAVAILABLE"');
const calls = ofWorker("millrace_store_write_duration_seconds_count", ',operation="apply"');
const published = (instance: string) => of("millrace_broker_connected", instance, ',connection="publish"');
const info = (role: string): string => of("millrace_build_info", `${role}-1`, `,role="${role}"`);
const lastSweep = (instance: string) => of("millrace_last_sweep_timestamp_seconds", instance);
const lag = (instance: string) => of("millrace_compaction_lag_seconds", instance);

const shop = { namespace: "shop" };
const hourly = { namespace: "shop", queue: "hourlyLog" };
const stalled = (count: number): string =>
  `In namespace shop, ${count} messages are in queue hourlyLog, and workers finish none. They are safe, but their events are missing from the view.`;
const letters = (count: number): string =>
  `In namespace shop, about ${count} messages of queue hourlyLog became dead letters within the last hour. Their events are missing from the view until they are replayed.`;
const unswept =
  "In namespace shop, no sweeper has finished a sweep within the last 2 hours. Views show what should have expired, and the store grows.";

export const queueCases: Readonly<Record<string, AlertCases>> = {
  MillraceQueueStalled: {
    firing: {
      "workers finish nothing, and two processes tell of the queue": {
        series: {
          [messages("ready")]: "5x20",
          [messages("ready", "worker-2")]: "7x20",
          [messages("unsettled")]: "2x20",
          [messages("unsettled", "worker-2")]: "2x20",
          [deliveries("ack")]: "100x20",
          [deliveries("retry")]: "0+1x20",
        },
        at: "6m",
        labels: hourly,
        description: stalled(9),
      },
      "there is no worker": {
        series: { [messages("ready", "collector-1")]: "1x20" },
        at: "6m",
        labels: hourly,
        description: stalled(1),
      },
    },
    silent: {
      "one message is finished in four minutes": {
        series: {
          [messages("ready")]: "5x20",
          [deliveries("ack")]: "0 1 1 1 1 2 2 2 2 3 3 3 3 4 4 4 4 5",
        },
        at: "16m",
      },
      "all of them become dead letters": {
        series: { [messages("ready")]: "5x20", [deliveries("deadLetter")]: "0+1x20" },
        at: "16m",
      },
      "nothing waits but dead letters": {
        series: { [messages("ready")]: "0x20", [messages("unsettled")]: "0x20", [messages("dead")]: "4x20" },
        at: "16m",
      },
      "workers come after four minutes": {
        series: { [messages("ready", "collector-1")]: "9x4 0x20", [deliveries("ack")]: "_x4 0+3x20" },
        at: "6m",
      },
    },
  },
  MillraceDeliveryStuck: {
    firing: {
      "the oldest message in hand only gets older": {
        series: { [age]: "0+60x30", [objective]: "30x30" },
        at: "12m",
        labels: { ...hourly, instance: "worker-1" },
        description:
          "In namespace shop, worker-1 has a message of queue hourlyLog in hand that was accepted 12m 0s ago.",
      },
    },
    silent: {
      "a backlog grows, and is worked off": {
        series: { [age]: "0+54x30", [objective]: "30x30" },
        at: "25m",
      },
      "it is not older than the objective": {
        series: { [age]: "0+60x30", [objective]: "1800x30" },
        at: "25m",
      },
    },
  },
  MillraceDeadLetters: {
    firing: {
      "a worker has given one up": {
        series: { [deliveries("deadLetter")]: "0x30 1x30" },
        at: "40m",
        labels: hourly,
        description: letters(1),
      },
      "the broker has more than an hour ago": {
        series: { [messages("dead")]: "2x60 5x20", [messages("dead", "worker-2")]: "2x61 5x20" },
        at: "70m",
        labels: hourly,
        description: letters(3),
      },
    },
    silent: {
      "those that are there have been for an hour": {
        series: { [messages("dead")]: "0 3x120", [deliveries("deadLetter")]: "0 3x120" },
        at: "65m",
      },
      "some were replayed": {
        series: { [messages("dead")]: "3x60 1x20", [deliveries("deadLetter")]: "3x80" },
        at: "70m",
      },
    },
  },
  MillraceDeadLetterFlood: {
    firing: {
      "6 % become dead letters": {
        series: { [deliveries("deadLetter")]: "0+6x30", [deliveries("ack")]: "0+94x30" },
        at: "8m",
        labels: hourly,
        description:
          "In namespace shop, 6% of the messages of queue hourlyLog become dead letters. Their events are missing from the view until they are replayed.",
      },
    },
    silent: {
      "4 % become dead letters": {
        series: { [deliveries("deadLetter")]: "0+4x30", [deliveries("ack")]: "0+96x30" },
        at: "16m",
      },
      "nine become dead letters of twenty": {
        series: { [deliveries("deadLetter")]: "0 9x30", [deliveries("ack")]: "0 11x30" },
        at: "8m",
      },
      "many are retried": {
        series: { [deliveries("retry")]: "0+50x30", [deliveries("deadLetter")]: "0x30" },
        at: "16m",
      },
    },
  },
  MillraceEventsRejected: {
    firing: {
      "6 % are rejected": {
        series: { [events("accepted")]: "0+94x90", [events("rejected")]: "0+6x90" },
        at: "18m",
        labels: shop,
        description:
          "In namespace shop, 6% of the events of the last hour were rejected. Unless the client mends and sends them again, they are lost.",
      },
    },
    silent: {
      "4.5 % are rejected": {
        series: { [events("accepted")]: "0+955x90", [events("rejected")]: "0+45x90" },
        at: "80m",
      },
      "nine of twelve are rejected": {
        series: { [events("accepted")]: "0 3x90", [events("rejected")]: "0 9x90" },
        at: "30m",
      },
    },
  },
  MillraceBrokerBlocked: {
    firing: {
      "one of two collectors is told so": {
        series: {
          [of("millrace_broker_blocked", "collector-1")]: "1x20",
          [of("millrace_broker_blocked", "collector-2")]: "0x20",
        },
        at: "6m",
        labels: shop,
        description:
          "In namespace shop, the broker takes no messages, as it has told 1 of its clients. It does so when it is short of memory or disk. Events are refused with 503 meanwhile.",
      },
    },
    silent: {
      "it is over after four minutes": {
        series: { [of("millrace_broker_blocked", "collector-1")]: "1x4 0x20" },
        at: "6m",
      },
    },
  },
  MillraceBrokerDisconnected: {
    firing: {
      "two collectors cannot publish": {
        series: {
          [published("collector-1")]: "0x20",
          [published("collector-2")]: "0x20",
          [published("collector-3")]: "1x20",
        },
        at: "6m",
        labels: { ...shop, connection: "publish" },
        description:
          "In namespace shop, a connection to the broker is missing that is for publish (processes: 2).",
      },
    },
    silent: {
      "it is opened again after four minutes": {
        series: { [published("collector-1")]: "0x4 1x20" },
        at: "6m",
      },
    },
  },
  MillraceStoreFailing: {
    firing: {
      "6 % of the calls fail": {
        series: { [failures]: "0+6x30", [calls]: "0+100x30" },
        at: "12m",
        labels: hourly,
        description:
          "In namespace shop, the store fails 6% of the calls of the workers of queue hourlyLog. Workers try again, and events wait.",
      },
    },
    silent: {
      "4 % of the calls fail": { series: { [failures]: "0+4x30", [calls]: "0+100x30" }, at: "16m" },
      "there are no calls": { series: { [failures]: "50x30", [calls]: "50x30" }, at: "16m" },
    },
  },
  MillraceSweeperLate: {
    firing: {
      "the last sweep was two and a half hours ago": {
        series: { [info("sweeper")]: "1x200", [lastSweep("sweeper-1")]: "0x200" },
        at: "151m",
        labels: shop,
        description: unswept,
      },
      "there is no sweeper": {
        series: { [info("collector")]: "1x60" },
        at: "31m",
        labels: shop,
        description: unswept,
      },
    },
    silent: {
      "another sweeper has the lease": {
        series: {
          [info("sweeper")]: "1x200",
          [lastSweep("sweeper-1")]: "0x200",
          [lastSweep("sweeper-2")]: "0+60x200",
        },
        at: "151m",
      },
      "it has been late for less than half an hour": {
        series: { [info("sweeper")]: "1x200", [lastSweep("sweeper-1")]: "0x200" },
        at: "149m",
      },
      "an operator is alone in its namespace": { series: { [info("operator")]: "1x60" }, at: "31m" },
    },
  },
  MillraceCompactionLag: {
    firing: {
      "the lag is a thousand seconds": {
        series: { [lag("sweeper-1")]: "1000x30", [lastSweep("sweeper-1")]: "0+60x30" },
        at: "16m",
        labels: shop,
        description:
          "In namespace shop, the oldest change that no total holds yet is 16m 40s old. Answers stay right; reading them takes longer.",
      },
    },
    silent: {
      "the lag is under a quarter of an hour": {
        series: { [lag("sweeper-1")]: "890x30", [lastSweep("sweeper-1")]: "0+60x30" },
        at: "16m",
      },
      "the sweeper that tells it has the lease no more": {
        series: {
          [lag("sweeper-1")]: "1000x30",
          [lastSweep("sweeper-1")]: "0x30",
          [lag("sweeper-2")]: "5x30",
          [lastSweep("sweeper-2")]: "0+60x30",
        },
        at: "25m",
      },
    },
  },
};
