import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import {
  CountsPerSecond,
  EventsPerSecond,
  Number as Plain,
  Seconds,
} from "@grafana/grafana-foundation-sdk/units";
import { dashboardOf } from "../layout.ts";
import { graph, heatmap, stat } from "../panels.ts";
import { processPanels } from "../process-panels.ts";
import { buckets, chosen, increase, max, quantiles, QUEUE, rate, sum } from "../series.ts";
import * as vital from "../vital-signs.ts";

const CHOSEN = 'queue=~"$queue"';
const AGE = "millrace_event_age_seconds";
const WRITE = "millrace_store_write_duration_seconds";
const name = "{{namespace}} {{queue}}";

const well = [
  [
    stat({
      title: "Events applied",
      description: "Events in a second that workers have put into the store, of all queues together.",
      unit: EventsPerSecond,
      queries: [{ expr: sum(rate("millrace_events_applied_total")) }],
    }),
    vital.inTimeShare(),
    vital.waitUsedShare(),
    vital.messagesWaiting(),
  ],
  [
    vital.deadLettersWaiting(),
    stat({
      title: "Deliveries tried again",
      description: "Deliveries in a second that failed and are to be tried again.",
      unit: CountsPerSecond,
      queries: [{ expr: sum(rate("millrace_deliveries_total", 'outcome="retry"')) }],
      thresholds: ["green", [0.001, "orange"]],
      alerts: ["MillraceStoreFailing"],
    }),
    vital.storeFailures(),
    vital.brokerConnected(),
  ],
];

const ofQueue = [
  [
    graph({
      title: "Events applied by queue",
      description: "Events in a second that workers have put into the store.",
      unit: EventsPerSecond,
      queries: [{ expr: sum(rate("millrace_events_applied_total", CHOSEN), ...QUEUE), legend: name }],
    }),
    graph({
      title: "Deliveries by outcome",
      description: "Deliveries in a second that were settled: acknowledged, tried again, or dead letters.",
      unit: CountsPerSecond,
      queries: [{ expr: sum(rate("millrace_deliveries_total", CHOSEN), "outcome"), legend: "{{outcome}}" }],
      shape: "stacked",
    }),
    graph({
      title: "Backlog by state",
      description: "Messages in the queue: ready ones wait for a worker, unsettled ones are in its hands.",
      unit: Plain,
      queries: [
        {
          expr: max(chosen("millrace_queue_messages", 'state!="dead"', CHOSEN), ...QUEUE, "state"),
          legend: `${name} {{state}}`,
        },
      ],
      shape: "stacked",
    }),
  ],
  [
    heatmap({
      title: "Age when stored",
      description: "How many messages were in the store within which time after their acceptance.",
      unit: Seconds,
      queries: [{ expr: buckets(AGE, CHOSEN), legend: "{{le}}" }],
    }),
    graph({
      title: "Age when stored, by share",
      description:
        "Half of the messages, and 99 of 100, were in the store sooner than this. The dashed line is the objective.",
      unit: Seconds,
      queries: [
        ...quantiles(AGE, { matchers: [CHOSEN] }),
        {
          expr: `max(${chosen("millrace_wait_objective_seconds", CHOSEN)})`,
          legend: "objective",
          isBound: true,
        },
      ],
      alerts: ["MillraceWaitBurn"],
    }),
    graph({
      title: "Oldest in hand",
      description:
        "Age of the oldest message in a worker's hands, by process. It grows while a worker is stuck.",
      unit: Seconds,
      queries: [
        {
          expr: max(chosen("millrace_oldest_delivery_age_seconds", CHOSEN), "instance"),
          legend: "{{instance}}",
        },
        {
          expr: `max(${chosen("millrace_wait_objective_seconds", CHOSEN)})`,
          legend: "objective",
          isBound: true,
        },
      ],
      alerts: ["MillraceDeliveryStuck"],
    }),
  ],
  [
    graph({
      title: "Late events by queue",
      description: "Events in a second that came into the store later than the objective.",
      unit: EventsPerSecond,
      queries: [{ expr: sum(rate("millrace_events_late_total", CHOSEN), ...QUEUE), legend: name }],
      alerts: ["MillraceWaitBurn"],
    }),
    graph({
      title: "Duplicates",
      description:
        "Events in a second that were not counted again, since their id had been counted. Clients that try again make them; that is what ids are for.",
      unit: EventsPerSecond,
      queries: [{ expr: sum(rate("millrace_duplicate_events_total", CHOSEN), ...QUEUE), legend: name }],
    }),
    graph({
      title: "Failed deliveries",
      description: "Deliveries that were tried again or became dead letters, within the interval.",
      unit: Plain,
      queries: [
        {
          expr: sum(increase("millrace_deliveries_total", CHOSEN, 'outcome!="ack"'), "outcome"),
          legend: "{{outcome}}",
        },
        { expr: sum(increase("millrace_settlement_retries_total", CHOSEN)), legend: "could not be settled" },
        { expr: sum(increase("millrace_store_retries_total", CHOSEN)), legend: "waited for the store" },
      ],
      alerts: ["MillraceDeadLetters", "MillraceDeadLetterFlood"],
    }),
  ],
  [
    graph({
      title: "Deliveries in hand",
      description: "Deliveries that a worker has not settled yet, by process. Its prefetch is the most.",
      unit: Plain,
      queries: [
        { expr: sum(chosen("millrace_deliveries_in_hand", CHOSEN), "instance"), legend: "{{instance}}" },
      ],
    }),
    graph({
      title: "Time in hand",
      description: "Time from a delivery's arrival at a worker until it was settled.",
      unit: Seconds,
      queries: quantiles("millrace_delivery_duration_seconds", { matchers: [CHOSEN] }),
    }),
    graph({
      title: "Store's time",
      description: "Time that the store took for a worker's call, by operation.",
      unit: Seconds,
      queries: quantiles(WRITE, { by: ["operation"], matchers: [CHOSEN] }),
      more: "store",
    }),
  ],
];

export const workers = (): Dashboard =>
  dashboardOf({
    name: "workers",
    title: "Millrace: workers",
    description: "From a queue to the store: how fast, how late, and what goes wrong on the way.",
    choice: "queue",
    sections: [
      { title: "Is it well?", lines: well },
      { title: "Queue $queue", lines: ofQueue, repeat: "queue" },
      {
        title: "Worker processes",
        lines: processPanels("accountName", "distinctName", "hourlyLog", "standalone"),
      },
    ],
  });
