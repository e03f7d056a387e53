import { element } from "./element.js";

/**
 * A table that scrolls in itself where it is too wide. A column whose name begins with `#` holds numbers.
 * @param {string} caption
 * @param {readonly string[]} columns
 */
export function makeTable(caption, columns) {
  const isNumber = columns.map((name) => name.startsWith("#"));
  const classOf = (/** @type {number} */ at) => (isNumber[at] ? { class: "number" } : {});
  const head = columns.map((name, at) =>
    element("th", { scope: "col", ...classOf(at) }, name.replace(/^#/, "")),
  );
  const body = element("tbody");
  const table = element("table", {}, element("caption", { class: "unseen" }, caption));
  table.append(element("thead", {}, element("tr", {}, ...head)), body);
  const region = { class: "scroll", role: "region", "aria-label": caption, tabindex: 0 };
  const root = element("div", region, table);
  /** @param {readonly (readonly (Node | string)[])[]} rows */
  const fill = (rows) =>
    body.replaceChildren(
      ...rows.map((cells) => element("tr", {}, ...cells.map((cell, at) => element("td", classOf(at), cell)))),
    );
  return { root, fill };
}

/**
 * What stands in the place of a table that has no rows.
 * @param {...(Node | string)} words
 * @returns {HTMLElement}
 */
export function nothing(...words) {
  return element("p", { class: "nothing" }, ...words);
}
