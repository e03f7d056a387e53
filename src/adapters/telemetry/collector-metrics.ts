import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { CALL_SECONDS, MESSAGE_EVENTS } from "./buckets.ts";
import type { Subscribers } from "./process-metrics.ts";

/** Requests of every server, and what the collector does with events. */
export function collectorMetrics(registry: Registry): Subscribers {
  const registers = [registry];
  const requests = new Counter({
    name: "millrace_requests_total",
    help: "Requests answered, by server, route and status.",
    labelNames: ["server", "route", "status"],
    registers,
  });
  const requestSeconds = new Histogram({
    name: "millrace_request_duration_seconds",
    help: "Time from a request's first byte to its answer, by server and route.",
    labelNames: ["server", "route"],
    buckets: [...CALL_SECONDS],
    registers,
  });
  const events = new Counter({
    name: "millrace_events_total",
    help: "Events that the collector was sent, by outcome: accepted is durable, rejected is invalid, failed is neither.",
    labelNames: ["outcome"],
    registers,
  });
  for (const outcome of ["accepted", "rejected", "failed"]) events.inc({ outcome }, 0);
  const messageEvents = new Histogram({
    name: "millrace_message_events",
    help: "Events that were published in one message.",
    buckets: [...MESSAGE_EVENTS],
    registers,
  });
  const groupWait = new Histogram({
    name: "millrace_group_commit_wait_seconds",
    help: "Time that the first request of a message waited before its publish began.",
    buckets: [...CALL_SECONDS],
    registers,
  });
  const published = new Histogram({
    name: "millrace_publish_duration_seconds",
    help: "Time until the broker confirmed a message.",
    buckets: [...CALL_SECONDS],
    registers,
  });
  const publishFailures = new Counter({
    name: "millrace_publish_failures_total",
    help: "Messages that the broker did not confirm, by error code.",
    labelNames: ["code"],
    registers,
  });
  for (const code of ["PUBLISH_UNCONFIRMED", "BROKER_UNAVAILABLE", "BROKER_FULL"])
    publishFailures.inc({ code }, 0);

  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });

  // One a request: looking a series up by its labels would cost more than counting.
  const requestSeries = new Map<string, { count: Counter.Internal; time: Histogram.Internal<string> }>();
  return {
    "request.answered": ({ server, route, status, seconds }) => {
      const key = `${server} ${route} ${status}`;
      let series = requestSeries.get(key);
      if (series === undefined) {
        series = {
          count: requests.labels({ server, route, status }),
          time: requestSeconds.labels({ server, route }),
        };
        requestSeries.set(key, series);
      }
      series.count.inc();
      series.time.observe(seconds);
    },
    "events.rejected": (fact) => events.inc({ outcome: "rejected" }, fact.events),
    "message.published": (fact) => {
      events.inc({ outcome: "accepted" }, fact.events);
      messageEvents.observe(fact.events);
      groupWait.observe(fact.waitSeconds);
      published.observe(fact.seconds);
    },
    "publish.failed": (fact) => {
      events.inc({ outcome: "failed" }, fact.events);
      publishFailures.inc({ code: fact.code });
    },
    "collector.opened": ({ load }) => {
      gauge(
        "millrace_requests_in_hand",
        "Requests that the collector has not answered yet.",
        () => load().requests,
      );
      gauge("millrace_request_bytes_in_hand", "Bytes that the requests in hand hold.", () => load().bytes);
      gauge(
        "millrace_request_bytes_limit",
        "Bytes that the requests in hand may hold; the answer to more is 503.",
        () => load().bytesLimit,
      );
      gauge(
        "millrace_messages_in_flight",
        "Messages published and not yet confirmed.",
        () => load().messages,
      );
    },
  };
}
