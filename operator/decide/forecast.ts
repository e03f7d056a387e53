/** Replicas that consume from a time on, in seconds from now; ordered, the first from 0. */
export type Fleet = readonly { readonly fromSeconds: number; readonly replicas: number }[];

export interface Load {
  /** Messages in the queue now, ready and unacknowledged. */
  readonly backlog: number;
  readonly arrivalsPerSecond: number;
  readonly messagesPerSecondPerReplica: number;
}

/** Messages in the queue after `seconds`: a fluid queue, in which what comes and what is done flow evenly. */
export function backlogAfter(load: Load, fleet: Fleet, seconds: number): number {
  let backlog = load.backlog;
  for (const [index, { fromSeconds, replicas }] of fleet.entries()) {
    const until = Math.min(seconds, fleet[index + 1]?.fromSeconds ?? seconds);
    if (until <= fromSeconds) continue;
    const growth = load.arrivalsPerSecond - replicas * load.messagesPerSecondPerReplica;
    backlog = Math.max(0, backlog + growth * (until - fromSeconds));
  }
  return backlog;
}

/** Seconds that a message published after `seconds` waits until it is done; Infinity where nobody would ever do it. */
export function waitAfter(load: Load, fleet: Fleet, seconds: number): number {
  let left = backlogAfter(load, fleet, seconds);
  if (left <= 0) return 0;
  for (const [index, { fromSeconds, replicas }] of fleet.entries()) {
    const from = Math.max(seconds, fromSeconds);
    const until = fleet[index + 1]?.fromSeconds ?? Number.POSITIVE_INFINITY;
    if (until <= from) continue;
    const perSecond = replicas * load.messagesPerSecondPerReplica;
    if (perSecond > 0 && left <= perSecond * (until - from)) return from + left / perSecond - seconds;
    if (perSecond > 0) left -= perSecond * (until - from);
  }
  return Number.POSITIVE_INFINITY;
}

/** The longest wait of a message published within `seconds` from now: it is at an end of a stretch, as all flows evenly. */
export function longestWait(load: Load, fleet: Fleet, seconds: number): number {
  const times = [0, ...fleet.map(({ fromSeconds }) => fromSeconds), seconds].filter((at) => at <= seconds);
  return Math.max(...times.map((at) => waitAfter(load, fleet, at)));
}
