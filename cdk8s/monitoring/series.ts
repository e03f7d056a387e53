/** What dashboards ask Prometheus for: series that their variables choose, and what is made of them. */

/** Labels that name a thing whatever process tells of it. */
export const QUEUE = ["namespace", "queue"] as const;
export const SCALER = ["namespace", "scaler"] as const;

/** The series of a metric in the chosen namespaces and processes; `matchers` narrow them. */
export function chosen(metric: string, ...matchers: readonly string[]): string {
  return `${metric}{${['namespace=~"$namespace"', 'instance=~"$instance"', ...matchers].join(", ")}}`;
}

/** What a counter grows by in a second. */
export function rate(metric: string, ...matchers: readonly string[]): string {
  return `rate(${chosen(metric, ...matchers)}[$__rate_interval])`;
}

/** How often it grew within the interval. */
export function increase(metric: string, ...matchers: readonly string[]): string {
  return `increase(${chosen(metric, ...matchers)}[$__rate_interval])`;
}

export function sum(expr: string, ...by: readonly string[]): string {
  return aggregated("sum", expr, by);
}

/** Of several processes that tell of the same thing, one. */
export function max(expr: string, ...by: readonly string[]): string {
  return aggregated("max", expr, by);
}

export function min(expr: string, ...by: readonly string[]): string {
  return aggregated("min", expr, by);
}

export function count(expr: string, ...by: readonly string[]): string {
  return aggregated("count", expr, by);
}

function aggregated(operation: string, expr: string, by: readonly string[]): string {
  return by.length === 0 ? `${operation}(${expr})` : `${operation} by (${by.join(", ")}) (${expr})`;
}

interface QuantileOf {
  readonly by?: readonly string[];
  readonly matchers?: readonly string[];
}

export function quantile(share: number, histogram: string, of: QuantileOf = {}): string {
  const counts = sum(rate(`${histogram}_bucket`, ...(of.matchers ?? [])), "le", ...(of.by ?? []));
  return `histogram_quantile(${share}, ${counts})`;
}

/** What half of the observations stay below, and 99 of 100, with their legends. */
export function quantiles(
  histogram: string,
  of: QuantileOf = {},
): readonly { readonly expr: string; readonly legend: string }[] {
  const labels = (of.by ?? []).map((label) => `{{${label}}} `).join("");
  return [0.5, 0.99].map((share) => ({
    expr: quantile(share, histogram, of),
    legend: `${labels}${share * 100} %`,
  }));
}

/** Counts of a histogram by bucket, for a heatmap. */
export function buckets(histogram: string, ...matchers: readonly string[]): string {
  return sum(rate(`${histogram}_bucket`, ...matchers), "le");
}

/** `expr` of the processes alone that have one of the roles. */
export function ofRoles(expr: string, ...roles: readonly string[]): string {
  const info = chosen("millrace_build_info", `role=~"${roles.join("|")}"`);
  return `${expr} and on (namespace, instance) ${info}`;
}

/** One figure of each scaler, though two processes may tell of it while a new leader takes over. */
export const ofScaler = (figure: string, ...matchers: readonly string[]) =>
  max(chosen(`millrace_scaler_${figure}`, ...matchers), ...SCALER);

/** Messages in each queue, ready and unsettled, however many processes tell of them. */
export const backlog: string = sum(
  max(chosen("millrace_queue_messages", 'state!="dead"'), ...QUEUE, "state"),
  ...QUEUE,
);

/** Dead letters of each queue. */
export const deadLetters: string = max(chosen("millrace_queue_messages", 'state="dead"'), ...QUEUE);

/** How much of its objective the oldest message in a worker's hands has used, by queue. */
export const waitUsed: string = `${max(chosen("millrace_oldest_delivery_age_seconds"), ...QUEUE)} / ${max(
  chosen("millrace_wait_objective_seconds"),
  ...QUEUE,
)}`;

/** The share of a counter that another is, within a window; none where there was no traffic. */
function shareOver(window: string, part: string, whole: string, by: readonly string[]): string {
  const grown = (series: string) => sum(`rate(${series}[${window}])`, ...by);
  return `${grown(part)} / (${grown(whole)} > 0)`;
}

/** What failed of what collectors were rightly sent, by namespace: the worse of the shares of events and of requests. */
export function failedShare(window: string): string {
  const events = shareOver(
    window,
    chosen("millrace_events_total", 'outcome="failed"'),
    chosen("millrace_events_total", 'outcome=~"accepted|failed"'),
    ["namespace"],
  );
  const requests = shareOver(
    window,
    chosen("millrace_requests_total", 'server="collector"', 'status=~"5.."'),
    chosen("millrace_requests_total", 'server="collector"'),
    ["namespace"],
  );
  const named = (share: string, of: string) => `label_replace(${share}, "of", "${of}", "", "")`;
  return max(`${named(events, "events")} or ${named(requests, "requests")}`, "namespace");
}

/** What came into the store late of what came, by namespace: of the queue where it is most. */
export function lateShare(window: string): string {
  const late = chosen("millrace_events_late_total");
  return max(shareOver(window, late, chosen("millrace_events_applied_total"), QUEUE), "namespace");
}

/** What of the calls of workers the store failed. */
export const storeFailedShare: string = `${sum(rate("millrace_store_failures_total"))} / (${sum(
  rate("millrace_store_write_duration_seconds_count"),
)} > 0)`;
