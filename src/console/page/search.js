/** @import { Answer } from "./ask.js" */
/** @import { Summary } from "./totals.js" */
import { ask, problemShown } from "./ask.js";
import { byId, element, say } from "./element.js";
import { counted } from "./shown.js";
import { makeTable, nothing } from "./table.js";
import { name, summaryCells, summaryColumns } from "./totals.js";

/** @typedef {Summary & {_id: {username: string, metric: string}}} UserRow */

const ROWS = 50;

/** The last hour by user and metric, as far as the form asks for it. */
export function offerSearch() {
  const form = byId("search", HTMLFormElement);
  const place = byId("found", HTMLElement);
  const status = byId("found-status", HTMLElement);
  const table = makeTable("The last hour by user and metric", ["User", "Metric", ...summaryColumns]);
  let asked = 0;

  /** @param {string} path */
  const show = async (path) => {
    asked += 1;
    const mine = asked;
    /** @type {Answer<UserRow[]>} */
    const answer = await ask(path);
    // A later question has been asked meanwhile.
    if (mine !== asked) return;
    if (!answer.ok) {
      place.replaceChildren(problemShown(answer.problem));
      say(status, answer.problem.title);
      return;
    }
    const { body: rows, next } = answer;
    say(status, `${counted(rows.length, "row")} found${next === undefined ? "" : ", and there are more"}`);
    if (rows.length === 0) {
      place.replaceChildren(
        nothing("Nothing of it in the last hour. Names are matched whole, in upper and lower case."),
      );
      return;
    }
    table.fill(
      rows.map(({ _id: of, ...summary }) => [name(of.username), name(of.metric), ...summaryCells(summary)]),
    );
    place.replaceChildren(table.root);
    if (next === undefined) return;
    const further = element("button", { type: "button" }, "Next rows");
    further.addEventListener("click", () => void show(next));
    place.append(further);
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const wanted = new URLSearchParams({ limit: String(ROWS) });
    for (const [field, value] of new FormData(form)) {
      if (typeof value === "string" && value !== "") wanted.set(field, value);
    }
    void show(`metrics/hourly_logs/per_user?${wanted}`);
  });
  place.replaceChildren(nothing("Name a user, a metric or both; without either, all rows are listed."));
}
