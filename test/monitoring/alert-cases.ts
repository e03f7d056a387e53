import { fileCases } from "./cases-files.ts";
import { objectiveCases } from "./cases-objectives.ts";
import { operatorCases } from "./cases-operator.ts";
import { processCases } from "./cases-processes.ts";
import { queueCases } from "./cases-queues.ts";

/** What Prometheus has seen, and when it is asked. */
export interface Given {
  /** Values by series, both in the notation of promtool: `0+10x60` is 0, 10, 20 and so on, 60 times. */
  readonly series: Readonly<Record<string, string>>;
  /** Minutes from the first value on, such as `90m`. */
  readonly at: string;
  /** Between two values. Default 1m. */
  readonly interval?: string;
}
/** Of an alert that waits (`for`), at most two minutes after the wait is over. */
export interface Firing extends Given {
  /** Beside the severity. */
  readonly labels: Readonly<Record<string, string>>;
  /** As it is read by who is on call. */
  readonly description: string;
}
export interface AlertCases {
  /** By what is the case. */
  readonly firing: Readonly<Record<string, Firing>>;
  readonly silent: Readonly<Record<string, Given>>;
}

export const alertCases: Readonly<Record<string, AlertCases>> = {
  ...objectiveCases,
  ...queueCases,
  ...processCases,
  ...fileCases,
  ...operatorCases,
};
