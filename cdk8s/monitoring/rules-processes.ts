import { thresholds } from "./objectives.ts";
import { alert, type RuleGroup } from "./rule.ts";

/** `job` is `millrace/<component>` where the chart says how to scrape, and a name of the user's choice elsewhere. */
const OURS = 'job=~"millrace(/.*)?"';
/** Workers may rightly be none. */
const SERVING = 'millrace_build_info{role=~"collector|query|standalone"}';
const ROLE =
  "group_left (role) group by (namespace, instance, role) (last_over_time(millrace_build_info[5m]))";

const processes: RuleGroup = {
  name: "millrace-processes",
  rules: [
    alert("MillraceServiceAbsent", {
      severity: "page",
      expr: `group by (namespace, role) (last_over_time(${SERVING}[6h])) unless group by (namespace, role) (${SERVING})`,
      for: "5m",
      summary: "No process is left of a role that serves clients.",
      description:
        "In namespace {{ $labels.namespace }}, there was a {{ $labels.role }} within the last six hours, and now none tells its metrics.",
    }),
    alert("MillraceTargetDown", {
      severity: "ticket",
      // A process that starts over and over answers some of its scrapes.
      expr: `avg_over_time(up{${OURS}}[10m]) < 0.5`,
      for: "5m",
      summary: "A process does not answer when its metrics are read.",
      description:
        "In namespace {{ $labels.namespace }}, {{ $labels.instance }} of {{ $labels.job }} has answered " +
        "{{ $value | humanizePercentage }} of the scrapes of the last ten minutes.",
    }),
    alert("MillraceMetricsAbsent", {
      severity: "ticket",
      expr: "absent(millrace_build_info)",
      for: "15m",
      summary: "Prometheus has these rules, and no metrics of Millrace.",
      description: "No process of Millrace is scraped, so that none of its other alerts can fire.",
    }),
    alert("MillraceRestarting", {
      severity: "ticket",
      expr: `changes(process_start_time_seconds[30m]) * on (namespace, instance) ${ROLE} >= ${thresholds.restarts}`,
      summary: "A process starts over and over.",
      description:
        "In namespace {{ $labels.namespace }}, {{ $labels.instance }} ({{ $labels.role }}) has started anew " +
        "{{ $value | humanize }} times within half an hour.",
    }),
    alert("MillraceEventLoopStalled", {
      severity: "ticket",
      expr: `nodejs_eventloop_lag_p99_seconds * on (namespace, instance) ${ROLE} > ${thresholds.eventLoopLagSeconds}`,
      for: "10m",
      summary: "A process is too busy to answer in time.",
      description:
        "In namespace {{ $labels.namespace }}, the event loop of {{ $labels.instance }} ({{ $labels.role }}) is up to " +
        "{{ $value | humanizeDuration }} late.",
    }),
    alert("MillraceQueryFailing", {
      severity: "ticket",
      expr: `sum by (namespace) (rate(millrace_requests_total{server="query",status=~"5.."}[10m]))
          / (sum by (namespace) (rate(millrace_requests_total{server="query"}[10m])) > 0) > ${thresholds.queryFailureRatio}
        and sum by (namespace) (increase(millrace_requests_total{server="query",status=~"5.."}[10m])) >= ${thresholds.fewestFailures}`,
      for: "5m",
      summary: "The query API answers with errors of its own.",
      description:
        "In namespace {{ $labels.namespace }}, {{ $value | humanizePercentage }} of the requests to the query API were answered 5xx.",
    }),
  ],
};

export const processGroups: readonly RuleGroup[] = [processes];
