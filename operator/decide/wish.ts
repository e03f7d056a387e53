import { backlogAfter, type Fleet, type Load, waitAfter } from "./forecast.ts";

/** What the number of replicas is computed from. */
export interface Situation {
  readonly load: Load;
  readonly fleet: Fleet;
  readonly objectiveSeconds: number;
  readonly startupSeconds: number;
  /** Time until a replica that is decided on at the next call would consume. */
  readonly leadSeconds: number;
}

/** Shares of the objective, found by a search on the benchmark. */
export const tuning = {
  /** A forecast wait beyond this asks for replicas: what is left of the objective is for what no forecast knows. */
  act: 0.2,
  /** They bring it down to this, */
  target: 0.3,
  /** within this time, */
  catchUp: 1,
  /** and what has piled up until they are there is done within this. */
  worst: 0.32,
  /** Replicas go where the others do what there is within this. */
  spare: 0.2,
} as const;

/** The replicas that bring the wait from what `backlog` makes it to `wait` within `seconds`, while messages keep coming. */
function enough({ load }: Situation, backlog: number, seconds: number, wait: number): number {
  return (backlog + load.arrivalsPerSecond * seconds) / (load.messagesPerSecondPerReplica * (seconds + wait));
}

/** A message cannot be shared: more replicas than messages are of no use. */
function useful({ load, objectiveSeconds }: Situation, replicas: number): number {
  return Math.min(replicas, load.backlog + load.arrivalsPerSecond * objectiveSeconds);
}

/** Whether the wait is forecast to get too long with the replicas that there are. */
export function isTooFew(situation: Situation): boolean {
  const { load, fleet, leadSeconds, objectiveSeconds } = situation;
  return waitAfter(load, fleet, leadSeconds) > tuning.act * objectiveSeconds;
}

/** Replicas that keep the objective, if they are asked for now and the load stays as it is; a fraction. */
export function needed(situation: Situation): number {
  const { load, fleet, startupSeconds, objectiveSeconds } = situation;
  const backlog = backlogAfter(load, fleet, startupSeconds);
  const target = tuning.target * objectiveSeconds;
  return useful(
    situation,
    Math.max(
      enough(situation, backlog, tuning.catchUp * objectiveSeconds, target),
      enough(situation, backlog, 0, tuning.worst * objectiveSeconds),
    ),
  );
}

/**
 * Replicas that would do; a fraction. Enough for what is published, and for the backlog, unacknowledged messages as well, so
 * that a fleet that has caught up shrinks while it does the rest, and none of it idles.
 */
export function spared(situation: Situation): number {
  const { load, objectiveSeconds } = situation;
  const keepUp = load.arrivalsPerSecond / load.messagesPerSecondPerReplica;
  return useful(
    situation,
    Math.max(keepUp, enough(situation, load.backlog, 0, tuning.spare * objectiveSeconds)),
  );
}

/** A load that nobody sees may grow by so much, or replicas do so much less than estimated, without harm. */
const UNSEEN_MARGIN = 1.25;
const UNSEEN_OBJECTIVES = 4;

/** Replicas that keep up with what is published, for as long as nobody can tell whether they do; a fraction. */
export function neededUnseen({ load, ...situation }: Situation): number {
  const { fleet, startupSeconds, objectiveSeconds } = situation;
  const more = { ...load, arrivalsPerSecond: load.arrivalsPerSecond * UNSEEN_MARGIN };
  const grown = { ...situation, load: more };
  const backlog = backlogAfter(more, fleet, startupSeconds);
  const seconds = UNSEEN_OBJECTIVES * objectiveSeconds;
  return useful(grown, enough(grown, backlog, seconds, tuning.target * objectiveSeconds));
}
