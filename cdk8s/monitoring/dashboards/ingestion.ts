import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import {
  BytesIEC,
  CountsPerSecond,
  EventsPerSecond,
  MessagesPerSecond,
  Number as Plain,
  PercentUnit,
  RequestsPerSecond,
  Seconds,
} from "@grafana/grafana-foundation-sdk/units";
import { dashboardOf } from "../layout.ts";
import { thresholds } from "../objectives.ts";
import { graph, heatmap, stat, timeline, yesIsBad, yesIsGood } from "../panels.ts";
import { processPanels } from "../process-panels.ts";
import { buckets, chosen, count, max, increase, ofRoles, quantile, quantiles, rate, sum } from "../series.ts";
import * as vital from "../vital-signs.ts";

const COLLECTOR = 'server="collector"';
const REQUEST = "millrace_request_duration_seconds";
const rejected = sum(`rate(${chosen("millrace_events_total", 'outcome="rejected"')}[1h])`);
const bytesUsed = `${chosen("millrace_request_bytes_in_hand")} / ${chosen("millrace_request_bytes_limit")}`;

const well = [
  [
    vital.eventsAccepted(),
    vital.acceptedShare(),
    stat({
      title: "Rejected, 1 h",
      description:
        "The share of the last hour's events that was rejected as invalid. It is for the client to mend.",
      unit: PercentUnit,
      queries: [{ expr: `${rejected} / (${sum(`rate(${chosen("millrace_events_total")}[1h])`)} > 0)` }],
      none: "no events",
      thresholds: ["green", [thresholds.rejectedRatio, "orange"]],
      alerts: ["MillraceEventsRejected"],
    }),
    stat({
      title: "Answer, 99 %",
      description: "99 of 100 requests were answered sooner than this.",
      unit: Seconds,
      queries: [{ expr: `${quantile(0.99, REQUEST, { matchers: [COLLECTOR] })} >= 0` }],
      none: "no requests",
      thresholds: ["green", [0.5, "orange"], [2.5, "red"]],
    }),
  ],
  [
    stat({
      title: "Room used",
      description:
        "Bytes of requests in hand as a share of the limit, of the collector where it is highest. At 100 % requests are answered 503.",
      unit: PercentUnit,
      queries: [{ expr: `max(${bytesUsed})` }],
      thresholds: ["green", [0.7, "orange"], [1, "red"]],
    }),
    vital.brokerConnected(),
    vital.brokerBlocked(),
    stat({
      title: "Collectors",
      description: "Processes that take events in.",
      unit: Plain,
      queries: [{ expr: count(chosen("millrace_request_bytes_limit")) }],
      thresholds: ["red", [1, "green"]],
    }),
  ],
];

const requests = [
  [
    graph({
      title: "Requests",
      description: "Requests in a second that collectors have answered, by route and status.",
      unit: RequestsPerSecond,
      queries: [
        {
          expr: sum(rate("millrace_requests_total", COLLECTOR), "route", "status"),
          legend: "{{route}} {{status}}",
        },
      ],
      shape: "stacked",
    }),
    graph({
      title: "Answer time by route",
      description: "Half of the requests, and 99 of 100, were answered sooner than this.",
      unit: Seconds,
      queries: quantiles(REQUEST, { by: ["route"], matchers: [COLLECTOR] }),
    }),
    heatmap({
      title: "Answer times",
      description: "How many requests were answered within which time.",
      unit: Seconds,
      queries: [{ expr: buckets(REQUEST, COLLECTOR), legend: "{{le}}" }],
    }),
  ],
];

const events = [
  [
    graph({
      title: "Events by outcome",
      description:
        "Events in a second: accepted is durable, rejected is invalid, failed is neither and may be sent again.",
      unit: EventsPerSecond,
      queries: [{ expr: sum(rate("millrace_events_total"), "outcome"), legend: "{{outcome}}" }],
      shape: "stacked",
    }),
    graph({
      title: "Events in a message",
      description:
        "How many events share one message: the mean, and what 99 of 100 messages stay below. More of them cost the broker less.",
      unit: Plain,
      queries: [
        {
          expr: `${sum(rate("millrace_message_events_sum"))} / (${sum(rate("millrace_message_events_count"))} > 0)`,
          legend: "mean",
        },
        { expr: quantile(0.99, "millrace_message_events"), legend: "99 %" },
      ],
      none: "no messages",
    }),
    graph({
      title: "Messages confirmed",
      description: "Messages in a second that the broker has confirmed.",
      unit: MessagesPerSecond,
      queries: [{ expr: sum(rate("millrace_publish_duration_seconds_count")), legend: "confirmed" }],
    }),
  ],
];

const publishing = [
  [
    graph({
      title: "Group commit: wait",
      description: "Time that the first request of a message waited before its publish began.",
      unit: Seconds,
      queries: quantiles("millrace_group_commit_wait_seconds"),
    }),
    graph({
      title: "Broker's confirm",
      description: "Time until the broker confirmed a message.",
      unit: Seconds,
      queries: quantiles("millrace_publish_duration_seconds"),
    }),
    graph({
      title: "Messages not confirmed",
      description:
        "Messages in a second that the broker did not confirm, by error code. Their senders were answered 503.",
      unit: MessagesPerSecond,
      queries: [{ expr: sum(rate("millrace_publish_failures_total"), "code"), legend: "{{code}}" }],
      shape: "stacked",
      none: "no failures",
      alerts: ["MillraceAcceptanceBurn"],
    }),
  ],
  [
    timeline({
      title: "Connections to the broker",
      description: "Whether each connection stands, by process and what it is for.",
      unit: Plain,
      queries: [
        {
          expr: max(chosen("millrace_broker_connected"), "instance", "connection"),
          legend: "{{instance}} {{connection}}",
        },
      ],
      none: "no broker",
      words: yesIsGood,
      alerts: ["MillraceBrokerDisconnected"],
    }),
    timeline({
      title: "Broker in an alarm",
      description: "Whether the broker takes no messages, as each collector sees it.",
      unit: Plain,
      queries: [
        {
          expr: ofRoles(
            max(chosen("millrace_broker_blocked"), "namespace", "instance"),
            "collector",
            "standalone",
          ),
          legend: "{{instance}}",
        },
      ],
      words: yesIsBad,
      alerts: ["MillraceBrokerBlocked"],
    }),
    graph({
      title: "Connections lost",
      description: "Connections lost, or not to be opened, within the interval, by what they are for.",
      unit: Plain,
      queries: [
        {
          expr: sum(increase("millrace_broker_disconnections_total"), "connection"),
          legend: "{{connection}}",
        },
      ],
      shape: "stacked",
      none: "no broker",
      alerts: ["MillraceBrokerDisconnected"],
    }),
  ],
];

const load = [
  [
    graph({
      title: "Requests in hand",
      description: "Requests that a collector has not answered yet.",
      unit: Plain,
      queries: [{ expr: sum(chosen("millrace_requests_in_hand"), "instance"), legend: "{{instance}}" }],
    }),
    graph({
      title: "Bytes in hand",
      description:
        "Bytes that the requests in hand hold, with the limit as a dashed line. The answer to more is 503.",
      unit: BytesIEC,
      queries: [
        { expr: sum(chosen("millrace_request_bytes_in_hand"), "instance"), legend: "{{instance}}" },
        { expr: `max(${chosen("millrace_request_bytes_limit")})`, legend: "limit", isBound: true },
      ],
    }),
    graph({
      title: "Messages in flight",
      description: "Messages that a collector has published and the broker has not confirmed yet.",
      unit: Plain,
      queries: [{ expr: sum(chosen("millrace_messages_in_flight"), "instance"), legend: "{{instance}}" }],
    }),
    graph({
      title: "Spans of traces",
      description: "Spans in a second by what becomes of them, where traces are exported.",
      unit: CountsPerSecond,
      queries: [{ expr: sum(rate("millrace_spans_total"), "outcome"), legend: "{{outcome}}" }],
      shape: "stacked",
      none: "traces are not exported",
    }),
  ],
];

export const ingestion = (): Dashboard =>
  dashboardOf({
    name: "ingestion",
    title: "Millrace: ingestion",
    description: "From a request to the broker's confirm: what collectors take in, and what it costs.",
    sections: [
      { title: "Is it well?", lines: well },
      { title: "Requests", lines: requests },
      { title: "Events and messages", lines: events },
      { title: "Broker", lines: publishing },
      { title: "Load", lines: load },
      { title: "Collector processes", lines: processPanels("collector", "standalone") },
    ],
  });
