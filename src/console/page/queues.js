/** @import { QueueSnapshot, Snapshot } from "../snapshot.ts" */
/** @import { ProjectionName } from "../../domain/projection.ts" */

/** The queues, in the order in which they are shown everywhere; the colour is a custom property of console.css. */
export const queues = /** @type {const} */ ([
  { name: "accountName", color: "--queue-1", dash: [] },
  { name: "distinctName", color: "--queue-2", dash: [7, 4] },
  { name: "hourlyLog", color: "--queue-3", dash: [2, 3] },
]);

/**
 * Messages in a queue, ready and unsettled; null where neither is known.
 * @param {QueueSnapshot} queue
 * @returns {number | null}
 */
export function backlogOf({ ready, unsettled }) {
  return ready === null && unsettled === null ? null : (ready ?? 0) + (unsettled ?? 0);
}

/**
 * The sum over all queues; null where no queue's is known.
 * @param {Snapshot} snapshot
 * @param {(queue: QueueSnapshot) => number | null} figure
 * @returns {number | null}
 */
export function sumOf(snapshot, figure) {
  const known = queues.map(({ name }) => figure(snapshot.queues[name])).filter((value) => value !== null);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0);
}

/**
 * The shortest objective of all queues, null where none is known.
 * @param {Snapshot} snapshot
 * @returns {number | null}
 */
export function shortestObjective(snapshot) {
  const known = queues.map(({ name }) => snapshot.queues[name].objectiveSeconds);
  const lowest = Math.min(...known.map((seconds) => seconds ?? Number.POSITIVE_INFINITY));
  return Number.isFinite(lowest) ? lowest : null;
}

/**
 * @param {string} name
 * @returns {ProjectionName | undefined}
 */
export function queueNamed(name) {
  return queues.find((queue) => queue.name === name)?.name;
}
