/** @import { QueueSnapshot, Snapshot } from "../snapshot.ts" */
/** @import { Line } from "./line-chart.js" */
import { LineChart } from "./line-chart.js";
import { backlogOf, queues, shortestObjective } from "./queues.js";
import { si, span, whole } from "./shown.js";

/**
 * A line a queue.
 * @param {(queue: QueueSnapshot) => number | null} figure
 * @returns {readonly Line[]}
 */
function byQueue(figure) {
  return queues.map(({ name, color, dash }) => ({
    name,
    color,
    dash,
    value: (snapshot) => figure(snapshot.queues[name]),
  }));
}

function acceptedChart() {
  const rate = { color: "--queue-1", dash: [] };
  return new LineChart({
    title: "Accepted events per second",
    lines: [
      { name: "accepted", ...rate, value: ({ events }) => events.acceptedPerSecond },
      { name: "rejected", color: "--queue-2", dash: [7, 4], value: ({ events }) => events.rejectedPerSecond },
      { name: "failed", color: "--bad", dash: [2, 3], value: ({ events }) => events.failedPerSecond },
    ],
    show: si,
  });
}

function backlogChart() {
  return new LineChart({ title: "Backlog in messages", lines: byQueue(backlogOf), show: si, steps: "many" });
}

/** @param {boolean} scaled whether an operator tells of replicas */
function workersChart(scaled) {
  if (!scaled)
    return new LineChart({
      title: "Workers that answer",
      lines: byQueue(({ workers }) => workers),
      show: whole,
      steps: "few",
    });
  const ready = byQueue(({ scaler }) => scaler?.ready ?? null);
  const desired = byQueue(({ scaler }) => scaler?.desired ?? null);
  return new LineChart({
    title: "Replicas, ready and desired",
    lines: [
      ...ready.map((line) => ({ ...line, name: `${line.name} ready`, width: 3 })),
      ...desired.map((line) => ({ ...line, name: `${line.name} desired`, dash: [1, 2], width: 1 })),
    ],
    show: whole,
    steps: "few",
  });
}

function waitChart() {
  return new LineChart({
    title: "Oldest wait and objective",
    lines: [
      ...byQueue(({ oldestWaitSeconds }) => oldestWaitSeconds),
      { name: "objective", color: "--bad", dash: [10, 4], width: 1.5, value: shortestObjective },
    ],
    show: span,
  });
}

/** The four charts of the flow. */
export class Charts {
  #place;
  #scaled = false;
  #charts = [acceptedChart(), waitChart(), backlogChart(), workersChart(false)];

  /** @param {HTMLElement} place */
  constructor(place) {
    this.#place = place;
    place.replaceChildren(...this.#charts.map(({ root }) => root));
  }

  /**
   * @param {readonly Snapshot[]} snapshots
   * @param {number} spanMs
   */
  show(snapshots, spanMs) {
    const scaled = snapshots.some((snapshot) => queues.some(({ name }) => snapshot.queues[name].scaler));
    if (scaled !== this.#scaled) {
      this.#scaled = scaled;
      this.#charts.pop()?.close();
      const workers = workersChart(scaled);
      this.#charts.push(workers);
      this.#place.append(workers.root);
    }
    for (const chart of this.#charts) chart.show(snapshots, spanMs);
  }

  redraw() {
    for (const chart of this.#charts) chart.redraw();
  }
}
