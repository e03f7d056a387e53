/** What is promised over 30 days, as a share. Alerts tell when it is being broken, dashboards show the same line. */
export const objectives = {
  /** Of the events (and of the requests) that a collector was rightly sent: answered as durable. */
  acceptance: 0.999,
  /** Of the events that were stored: in the store within `millrace_wait_objective_seconds` of their acceptance. */
  wait: 0.99,
} as const;
export type Objective = keyof typeof objectives;

/** The share that may fail over the 30 days. */
export const budgetOf = (objective: Objective): number => Number((1 - objectives[objective]).toFixed(6));

export interface Burn {
  /** How many times faster than the budget allows: at 1 it is used up just after 30 days. */
  readonly factor: number;
  /** The rate must hold over both: the long one makes sure that it matters, the short one that it still goes on. */
  readonly long: string;
  readonly short: string;
}

/**
 * Google's Site Reliability Workbook, chapter 5 ("Alerting on SLOs"): windows and factors of its table of recommended
 * parameters for a budget of 30 days. They are 2 % of the budget in an hour, 5 % in six hours, and 10 % in three days.
 */
export const burns: { readonly page: readonly Burn[]; readonly ticket: readonly Burn[] } = {
  page: [
    { factor: 14.4, long: "1h", short: "5m" },
    { factor: 6, long: "6h", short: "30m" },
  ],
  ticket: [{ factor: 1, long: "3d", short: "6h" }],
};

/** The error ratio from which a burn alert fires. */
export const burnRatio = (objective: Objective, { factor }: Burn): number =>
  Number((factor * budgetOf(objective)).toFixed(6));

/** Where a dashboard turns red and an alert begins to count its time. Ratios are shares of 1. */
export const thresholds = {
  /** Fewer failures than this in a window wake nobody: of little traffic, one would be a large share. */
  fewestFailures: 10,
  /** Deliveries given up, of those that left a queue. */
  deadLetterRatio: 0.05,
  /** Calls of a worker that the store failed. */
  storeFailureRatio: 0.05,
  /** Events that a collector was sent and that are invalid. */
  rejectedRatio: 0.05,
  /** Requests to the query API that were answered 5xx. */
  queryFailureRatio: 0.05,
  /** The 99th percentile of the delay of the event loop. */
  eventLoopLagSeconds: 0.5,
  /** Of the figures that a scaler decides on. */
  observationAgeSeconds: 120,
  sweepAgeSeconds: 3600 * 2,
  compactionLagSeconds: 900,
  /** Until a certificate expires: cert-manager renews one that lives for 90 days at 30. */
  certificateSeconds: 14 * 24 * 3600,
  /** Starts of one process in half an hour, beyond the first. */
  restarts: 3,
} as const;
