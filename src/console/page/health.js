/** @import { DecisionLog, QueueSnapshot, Snapshot } from "../snapshot.ts" */
import { backlogOf, queues } from "./queues.js";
import { counted, si, span } from "./shown.js";

/**
 * Something that is wrong. `key` stays the same while it lasts, whatever its figures.
 * @typedef {object} Fault
 * @property {"bad" | "warning"} level
 * @property {string} key
 * @property {string} words
 */

/**
 * What is wrong by these figures, the worst first.
 * @param {Snapshot} snapshot
 * @param {DecisionLog | undefined} log
 * @returns {readonly Fault[]}
 */
export function faultsOf(snapshot, log) {
  const faults = [
    ...queues.flatMap(({ name }) => waitFaults(name, snapshot.queues[name])),
    ...eventFaults(snapshot),
    ...processFaults(snapshot),
    ...queues.flatMap(({ name }) => letterFaults(name, snapshot.queues[name])),
    ...queues.flatMap(({ name }) => scalerFaults(name, snapshot.queues[name])),
    ...(log?.operator === "unreachable"
      ? [warning("operator", "No operator answers that leads: the numbers of replicas stay as they are.")]
      : []),
  ];
  return [...faults.filter(({ level }) => level === "bad"), ...faults.filter(({ level }) => level !== "bad")];
}

/**
 * What there is to say where nothing is known to be wrong.
 * @param {Snapshot} snapshot
 * @returns {{level: "good" | "unknown", key: string, words: string}}
 */
export function calmOf(snapshot) {
  const known = queues.every(({ name }) => {
    const queue = snapshot.queues[name];
    const backlog = backlogOf(queue);
    return (
      backlog !== null && queue.deadLetters !== null && (backlog === 0 || queue.oldestWaitSeconds !== null)
    );
  });
  if (known && snapshot.events.acceptedTotal !== null) {
    const words = "All is well: every queue keeps its objective, and there are no dead letters.";
    return { level: "good", key: "good", words };
  }
  return {
    level: "unknown",
    key: "unknown",
    words: "Nothing is known to be wrong, but not every figure is known.",
  };
}

/**
 * @param {string} name
 * @param {QueueSnapshot} queue
 * @returns {readonly Fault[]}
 */
function waitFaults(name, queue) {
  const { oldestWaitSeconds: wait, objectiveSeconds: objective } = queue;
  const waiting = backlogOf(queue) ?? 0;
  if (queue.workers === 0 && waiting > 0 && queue.scaler?.desired !== 0) {
    return [bad(`workers ${name}`, `${name}: no worker answers, and ${counted(waiting, "message")} wait`)];
  }
  if (wait === null || objective === null || wait <= objective) return [];
  return [bad(`wait ${name}`, `${name}: oldest event waits ${span(wait)}, objective ${span(objective)}`)];
}

/**
 * @param {Snapshot} snapshot
 * @returns {readonly Fault[]}
 */
function eventFaults({ events, processes }) {
  const failed = events.failedPerSecond ?? 0;
  if (failed > 0) {
    return [bad("failed", `${si(failed)} events/s fail: they are not durable, and the client was told so`)];
  }
  if (events.acceptedPerSecond === null && events.acceptedTotal === null && processes.length > 0) {
    return [warning("collector", "No collector can be read: what comes in is not known.")];
  }
  return [];
}

/**
 * Of a role of which another process answers, one that is going or coming is no more than a warning.
 * @param {Snapshot} snapshot
 * @returns {readonly Fault[]}
 */
function processFaults({ processes }) {
  const well = new Set(processes.filter(({ fault }) => fault === null).map(({ role }) => role));
  return processes
    .filter(({ fault }) => fault !== null)
    .map(({ role, address, fault }) => {
      const tell = well.has(role) ? warning : bad;
      return tell(`process ${role} ${address}`, `${role} ${address} cannot be read: ${fault}`);
    });
}

/**
 * @param {string} name
 * @param {QueueSnapshot} queue
 * @returns {readonly Fault[]}
 */
function letterFaults(name, { deadLetters }) {
  if (deadLetters === null || deadLetters === 0) return [];
  return [warning(`letters ${name}`, `${name}: ${counted(deadLetters, "dead letter")}`)];
}

/**
 * @param {string} name
 * @param {QueueSnapshot} queue
 * @returns {readonly Fault[]}
 */
function scalerFaults(name, { scaler, objectiveSeconds }) {
  if (scaler === null) return [];
  const { forecastWaitSeconds: forecast, maximum, current } = scaler;
  const tooLong = forecast !== null && objectiveSeconds !== null && forecast > objectiveSeconds;
  if (scaler.bottleneck) {
    return [
      warning(
        `bottleneck ${name}`,
        `${name}: more replicas bring no more throughput; look at what they share, the store`,
      ),
    ];
  }
  if (!scaler.limited || !tooLong) return [];
  const most = maximum !== null && current === maximum ? `at its maximum of ${maximum}` : "held by a limit";
  const words = `${name}: ${most}, and a message of now will wait ${span(forecast)}, objective ${span(objectiveSeconds)}`;
  return [warning(`limited ${name}`, words)];
}

/** @type {(key: string, words: string) => Fault} */
const bad = (key, words) => ({ level: "bad", key, words });
/** @type {(key: string, words: string) => Fault} */
const warning = (key, words) => ({ level: "warning", key, words });
