import { ask, problemShown } from "./ask.js";
import { element } from "./element.js";
import { si, whole } from "./shown.js";
import { makeTable, nothing } from "./table.js";

/**
 * @typedef {object} Summary
 * @property {number} minimum
 * @property {number} average
 * @property {number} maximum
 * @property {number} count
 */
/** @typedef {Summary & {_id: string}} TotalRow */

/** The columns of a summary, as a table is made with them. */
export const summaryColumns = ["#Events", "#Min", "#Average", "#Max"];

/**
 * @param {Summary} summary
 * @returns {readonly Node[]}
 */
export function summaryCells({ minimum, average, maximum, count }) {
  return [element("span", {}, whole(count)), exact(minimum), exact(average), exact(maximum)];
}

/**
 * @param {number} value
 * @returns {HTMLElement}
 */
function exact(value) {
  return element("span", { title: String(value) }, si(value));
}

/**
 * Shows the metrics with the most events of the last hour.
 * @param {HTMLElement} place
 * @returns {() => Promise<void>} reads them anew
 */
export function makeTotals(place) {
  const table = makeTable("Metrics with the most events", ["Metric", ...summaryColumns]);
  return async () => {
    /** @type {import("./ask.js").Answer<TotalRow[]>} */
    const answer = await ask("metrics/hourly_logs/total?order=count&limit=20");
    if (!answer.ok) {
      place.replaceChildren(problemShown(answer.problem));
      return;
    }
    if (answer.body.length === 0) {
      place.replaceChildren(noEvents());
      return;
    }
    table.fill(answer.body.map(({ _id: metric, ...summary }) => [name(metric), ...summaryCells(summary)]));
    if (!table.root.isConnected) place.replaceChildren(table.root);
  };
}

/**
 * A text that a client chose: shown as it is, broken where it is too long.
 * @param {string} text
 * @returns {HTMLElement}
 */
export function name(text) {
  return element("span", { class: "name", dir: "auto" }, text);
}

/** @returns {HTMLElement} */
function noEvents() {
  const url = new URL("console/event", document.baseURI);
  const words = `curl -H 'content-type: application/json' -d '{"username":"ann","metric":"reads","count":5}' ${url}`;
  return nothing(
    "No events in the last hour. Send one by the form above, or from a terminal: ",
    element("code", {}, words),
  );
}
