/** @import { ProcessSnapshot } from "../snapshot.ts" */
import { element } from "./element.js";
import { makeTable, nothing } from "./table.js";

/**
 * Shows the processes whose figures are read; leaves the page alone while they stay as they are.
 * @param {HTMLElement} place
 * @returns {(processes: readonly ProcessSnapshot[]) => void}
 */
export function makeProcesses(place) {
  const table = makeTable("Processes", ["Role", "Address", "State"]);
  let shown = "";
  return (processes) => {
    const sorted = processes.toSorted(
      (one, other) => one.role.localeCompare(other.role) || one.address.localeCompare(other.address),
    );
    if (JSON.stringify(sorted) === shown) return;
    shown = JSON.stringify(sorted);
    if (sorted.length === 0) {
      place.replaceChildren(nothing("No process is read. MILLRACE_CONSOLE_SOURCES names where they are."));
      return;
    }
    table.fill(
      sorted.map(({ role, address, fault }) => [
        role,
        address,
        fault === null
          ? element("span", { class: "level", "data-level": "good" }, "answers")
          : element("span", { class: "level", "data-level": "bad" }, `cannot be read: ${fault}`),
      ]),
    );
    if (!table.root.isConnected) place.replaceChildren(table.root);
  };
}
