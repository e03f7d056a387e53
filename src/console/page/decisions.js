/** @import { DecisionLog, ReplicaChange, ScalerDecision } from "../snapshot.ts" */
import { element, say } from "./element.js";
import { instant, whole } from "./shown.js";
import { makeTable, nothing } from "./table.js";

/**
 * Shows what the operator decided last for each scaler, and the changes before. The elements stay, so that neither the
 * focus nor where one has scrolled to is lost with each decision.
 * @param {HTMLElement} place
 * @returns {(log: DecisionLog) => void}
 */
export function makeDecisions(place) {
  const table = makeTable("The last decision for each scaler", ["Scaler", "#Wants", "#Has", "Why", "At"]);
  const note = nothing();
  const list = element("ol", { class: "changes" });
  const region = { class: "scroll short", role: "region", "aria-label": "Last changes", tabindex: 0 };
  const none = nothing("No number of replicas has been changed since the operator's start.");
  const changed = element("div", {}, element("h3", {}, "Last changes"), none, element("div", region, list));
  const both = element("div", { class: "columns" }, table.root, changed);
  place.replaceChildren(note, both);
  let shown = "";
  return (log) => {
    const words = noteOn(log);
    note.hidden = words === "";
    say(note, words);
    both.hidden = log.operator === "none";
    table.root.hidden = log.scalers.length === 0;
    table.fill(log.scalers.map(decisionCells));
    none.hidden = log.changes.length > 0;
    if (JSON.stringify(log.changes) === shown) return;
    shown = JSON.stringify(log.changes);
    list.replaceChildren(...log.changes.map(changeShown));
  };
}

/**
 * @param {DecisionLog} log
 * @returns {string}
 */
function noteOn({ operator, scalers }) {
  if (operator === "none")
    return "This installation has no operator: the number of workers stays as it was set. On Kubernetes, the operator follows the queues; see docs/kubernetes.md.";
  if (operator === "unreachable") return "No operator answers that leads: replicas stay as they are.";
  return scalers.length === 0 ? "No decision yet. A QueueScaler asks for one." : "";
}

/**
 * @param {ScalerDecision} decision
 * @returns {readonly (Node | string)[]}
 */
function decisionCells({ scaler, atMs, reason, message, desired, current }) {
  return [scaler, whole(desired), whole(current), why(reason, message), instant(atMs)];
}

/**
 * @param {ReplicaChange} change
 * @returns {HTMLElement}
 */
function changeShown({ scaler, atMs, from, to, reason, message }) {
  const direction = to > from ? "up" : "down";
  return element(
    "li",
    {},
    instant(atMs),
    " ",
    element("strong", {}, scaler),
    ` ${direction} from ${from} to ${to}. `,
    element("span", { class: "reason" }, reason),
    ` ${message}`,
  );
}

/**
 * @param {string} reason
 * @param {string} message
 * @returns {HTMLElement}
 */
function why(reason, message) {
  return element("span", { class: "why" }, element("span", { class: "reason" }, reason), ` ${message}`);
}
