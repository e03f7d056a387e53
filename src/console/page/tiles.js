/** @import { QueueSnapshot, Snapshot } from "../snapshot.ts" */
import { element, say } from "./element.js";
import { backlogOf, queues, sumOf } from "./queues.js";
import { si, span, whole } from "./shown.js";

/**
 * @typedef {object} Figure
 * @property {string} value
 * @property {string} note
 * @property {"good" | "warning" | "bad" | "plain"} level
 * @property {number} [share] of what there may be, from 0 on; 1 is all of it
 */
/**
 * @typedef {object} Tile
 * @property {string} name
 * @property {(snapshot: Snapshot) => Figure} figure
 */

/** @type {readonly Tile[]} */
const tiles = [
  {
    name: "Accepted events/s",
    figure: ({ events }) => ({
      value: si(events.acceptedPerSecond),
      note: `${whole(events.acceptedTotal)} since the collectors' start`,
      level: "plain",
    }),
  },
  {
    name: "Rejected/s",
    figure: ({ events }) => ({ value: si(events.rejectedPerSecond), note: "not valid", level: "plain" }),
  },
  {
    name: "Failed/s",
    figure: ({ events }) => ({
      value: si(events.failedPerSecond),
      note: "valid, but not durable",
      level: (events.failedPerSecond ?? 0) > 0 ? "bad" : "plain",
    }),
  },
  {
    name: "Backlog",
    figure: (snapshot) => ({
      value: si(sumOf(snapshot, backlogOf)),
      note: byQueue(snapshot, backlogOf),
      level: "plain",
    }),
  },
  ...queues.map(({ name }) => ({
    name: `Oldest wait, ${name}`,
    figure: (/** @type {Snapshot} */ snapshot) => waitFigure(snapshot.queues[name]),
  })),
  {
    name: "Dead letters",
    figure: (snapshot) => {
      const number = sumOf(snapshot, ({ deadLetters }) => deadLetters);
      const level = number === null ? "plain" : number > 0 ? "warning" : "good";
      return { value: si(number), note: byQueue(snapshot, ({ deadLetters }) => deadLetters), level };
    },
  },
];

/**
 * @param {QueueSnapshot} queue
 * @returns {Figure}
 */
function waitFigure({ oldestWaitSeconds: wait, objectiveSeconds: objective, storedPerSecond }) {
  const stored = `${si(storedPerSecond)} events/s stored`;
  if (wait === null || objective === null) return { value: span(wait), note: stored, level: "plain" };
  const level = wait > objective ? "bad" : wait > objective / 2 ? "warning" : "good";
  return {
    value: span(wait),
    note: `objective ${span(objective)}; ${stored}`,
    level,
    share: wait / objective,
  };
}

/**
 * @param {Snapshot} snapshot
 * @param {(queue: QueueSnapshot) => number | null} figure
 * @returns {string}
 */
function byQueue(snapshot, figure) {
  return queues.map(({ name }) => `${name} ${si(figure(snapshot.queues[name]))}`).join(", ");
}

/** In words what a colour says. */
const levelWords = { good: "within bounds", warning: "look at it", bad: "out of bounds", plain: "" };

/**
 * Makes the tiles, and answers what shows a snapshot in them.
 * @param {HTMLElement} list
 * @returns {(snapshot: Snapshot) => void}
 */
export function makeTiles(list) {
  const made = tiles.map(({ name, figure }) => {
    const value = element("dd", { class: "value" }, "–");
    const note = element("dd", { class: "note" });
    const bar = element("span");
    const gauge = element("dd", { class: "gauge", "aria-hidden": "true", hidden: true }, bar);
    const level = element("dd", { class: "unseen" });
    const tile = element("div", { class: "tile" }, element("dt", {}, name), value, gauge, note, level);
    return { figure, value, note, bar, gauge, level, tile };
  });
  list.replaceChildren(...made.map(({ tile }) => tile));
  return (snapshot) => {
    for (const { figure, value, note, bar, gauge, level, tile } of made) {
      const now = figure(snapshot);
      say(value, now.value);
      say(note, now.note);
      say(level, levelWords[now.level]);
      tile.dataset["level"] = now.level;
      gauge.hidden = now.share === undefined;
      bar.style.width = `${Math.min(1, now.share ?? 0) * 100}%`;
    }
  };
}
