import { keda, type KedaSettings, kedaDefaults } from "./keda.ts";
import { knativeLike } from "./knative.ts";
import type { PolicyContext, PolicyFactory } from "./policy.ts";
import { rateTarget } from "./rate-target.ts";

/** Messages that a replica serves in a share of the objective. */
const servedIn = (share: number) => (context: PolicyContext) =>
  Math.max(1, Math.round(share * context.sloSeconds * context.hintServiceRate));

/** One trigger, and the settings that people are told to change; half an objective of work a replica won a sweep. */
const tuned: KedaSettings = {
  ...kedaDefaults,
  name: "KEDA, tuned",
  queueLength: servedIn(1 / 2),
  pollingInterval: 5,
  scaleDownWindow: 60,
  cooldownPeriod: 120,
};
/** Two triggers, as KEDA's maintainers advise, and an unthrottled scale-up: the best setting that was found. */
const expert: KedaSettings = {
  ...kedaDefaults,
  name: "KEDA, expert",
  queueLength: servedIn(1 / 3),
  messageRate: (context) => 0.95 * context.hintServiceRate,
  pollingInterval: 5,
  scaleDownWindow: 60,
  cooldownPeriod: 60,
  scaleUpPercent: 400,
  scaleUpPods: 20,
};

export const kedaExpert: PolicyFactory = keda(expert);
export const rivals: readonly PolicyFactory[] = [
  keda(kedaDefaults),
  keda(tuned),
  kedaExpert,
  knativeLike(servedIn(1 / 2)),
  rateTarget,
];
/** Those that Millrace is to miss no more messages than, on any trace. */
export const rivalsToBeat: readonly string[] = [tuned.name, expert.name];
