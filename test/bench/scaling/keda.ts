import type { PolicyContext, PolicyFactory, PolicyObservation } from "./policy.ts";

/** What KEDA's rabbitmq scaler and the HorizontalPodAutoscaler it makes can be set to. Times in seconds. */
export interface KedaSettings {
  readonly name: string;
  /** Messages a replica, ready and unacknowledged. */
  readonly queueLength: number | ((context: PolicyContext) => number);
  /** Messages published in a second a replica; 0 for no such trigger. */
  readonly messageRate: number | ((context: PolicyContext) => number);
  readonly pollingInterval: number;
  readonly cooldownPeriod: number;
  readonly scaleDownWindow: number;
  /** The larger of the two is added at most within 15 s. */
  readonly scaleUpPercent: number;
  readonly scaleUpPods: number;
}

export const kedaDefaults: KedaSettings = {
  name: "KEDA, default",
  queueLength: 20,
  messageRate: 0,
  pollingInterval: 30,
  cooldownPeriod: 300,
  scaleDownWindow: 300,
  scaleUpPercent: 100,
  scaleUpPods: 4,
};
/** Of the HorizontalPodAutoscaler; a cluster has one for all. */
const SYNC_SECONDS = 15;
const TOLERANCE = 0.1;
const SCALE_UP_PERIOD_SECONDS = 15;
/** Neither starts with the day. */
const FIRST_POLL = 3;
const FIRST_SYNC = 7;

interface Metric {
  readonly value: number;
  readonly target: number;
}

/**
 * Scaling from and to zero is KEDA's polling loop. Between 1 and the maximum it is the HorizontalPodAutoscaler, which asks KEDA
 * for a live value at each sync, so that `pollingInterval` does not speed that up. Without figures the former does nothing
 * and the latter holds.
 */
export function keda(settings: KedaSettings): PolicyFactory {
  return (context) => {
    const metricsOf = metricsReader(settings, context);
    const autoscaler = horizontalPodAutoscaler(settings, context);
    let nextPoll = FIRST_POLL;
    let nextSync = FIRST_SYNC;
    let lastActive = Number.NEGATIVE_INFINITY;
    return {
      name: settings.name,
      decide: (seen) => {
        const current = seen.replicasCurrent;
        const metrics = metricsOf(seen);
        const isActive = metrics.some(({ value }) => value > 0);
        let wanted = current;
        if (seen.time >= nextPoll) {
          nextPoll += settings.pollingInterval;
          if (seen.available && isActive) {
            lastActive = seen.time;
            if (current === 0) wanted = Math.max(1, context.minReplicas);
          } else if (
            seen.available &&
            current > 0 &&
            context.minReplicas === 0 &&
            seen.time - lastActive >= settings.cooldownPeriod
          ) {
            wanted = 0;
            autoscaler.forget();
          }
        }
        if (seen.time >= nextSync) {
          nextSync += SYNC_SECONDS;
          if (current > 0 && wanted > 0 && seen.available)
            wanted = autoscaler.sync(seen.time, current, metrics);
        }
        return wanted === current ? null : wanted;
      },
    };
  };
}

function metricsReader(settings: KedaSettings, context: PolicyContext) {
  const valueOf = (setting: number | ((of: PolicyContext) => number)) =>
    typeof setting === "function" ? setting(context) : setting;
  const queueLength = valueOf(settings.queueLength);
  const messageRate = valueOf(settings.messageRate);
  let last: { readonly at: number; readonly total: number } | undefined;
  let published = 0;
  return (seen: PolicyObservation): readonly Metric[] => {
    if (last === undefined || seen.sampleTime > last.at) {
      if (last !== undefined) published = (seen.arrivalTotal - last.total) / (seen.sampleTime - last.at);
      last = { at: seen.sampleTime, total: seen.arrivalTotal };
    }
    const depth = { value: seen.ready + seen.unacked, target: queueLength };
    return messageRate > 0 ? [depth, { value: published, target: messageRate }] : [depth];
  };
}

function horizontalPodAutoscaler(settings: KedaSettings, { minReplicas, maxReplicas }: PolicyContext) {
  let recommended: { readonly at: number; readonly replicas: number }[] = [];
  let added: { readonly at: number; readonly replicas: number }[] = [];

  const proposed = (current: number, metrics: readonly Metric[]) => {
    const wishes = metrics.map(({ value, target }) =>
      Math.abs(1 - value / (target * current)) > TOLERANCE ? Math.ceil(value / target) : current,
    );
    return Math.min(maxReplicas, Math.max(1, minReplicas, ...wishes));
  };
  const paced = (at: number, current: number, wish: number) => {
    added = added.filter((one) => one.at > at - SCALE_UP_PERIOD_SECONDS + 1e-9);
    const base = current - added.reduce((sum, { replicas }) => sum + replicas, 0);
    const most = Math.max(Math.ceil(base * (1 + settings.scaleUpPercent / 100)), base + settings.scaleUpPods);
    if (Math.min(wish, most) <= current) return current;
    added.push({ at, replicas: Math.min(wish, most) - current });
    return Math.min(wish, most);
  };
  return {
    forget: () => {
      recommended = [];
    },
    sync: (at: number, current: number, metrics: readonly Metric[]) => {
      const wish = proposed(current, metrics);
      if (recommended.length === 0) recommended.push({ at, replicas: current });
      recommended.push({ at, replicas: wish });
      recommended = recommended.filter((one) => one.at > at - settings.scaleDownWindow - 1e-9);
      if (wish > current) return paced(at, current, wish);
      if (wish === current) return current;
      return Math.min(current, Math.max(...recommended.map(({ replicas }) => replicas)));
    },
  };
}
