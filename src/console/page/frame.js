import { element, say } from "./element.js";

/**
 * What is around every chart: its name, and the same figures as a table for whoever does not see the drawing.
 */
export class Frame {
  /** Where the chart is drawn. */
  plot = element("div", { class: "plot", role: "img" });
  root;
  #title;
  #head = element("tr");
  #body = element("tbody");
  #region;
  #shown = "";
  /** @type {() => void} */
  #opened = () => {};

  /** Turns the chart into the table and back; to be put where the title is. */
  toggle = element("button", { type: "button", class: "small", "aria-pressed": "false" }, "Table");

  /** @param {string} title */
  constructor(title) {
    this.#title = title;
    const table = element("table", {}, element("caption", { class: "unseen" }, title));
    table.append(element("thead", {}, this.#head), this.#body);
    const region = {
      class: "scroll",
      role: "region",
      "aria-label": `Table: ${title}`,
      tabindex: 0,
      hidden: true,
    };
    this.#region = element("div", region, table);
    this.toggle.setAttribute("aria-label", `Table: ${title}`);
    this.toggle.addEventListener("click", () => this.#turn());
    this.root = element("div", {}, this.plot, this.#region);
  }

  get showsTable() {
    return !this.#region.hidden;
  }

  /** @param {() => void} opened called when the table comes into sight, so that it can be filled */
  onTable(opened) {
    this.#opened = opened;
  }

  /** @param {string} words what the chart shows */
  describe(words) {
    const label = `${this.#title}: ${words}`;
    if (this.plot.getAttribute("aria-label") !== label) this.plot.setAttribute("aria-label", label);
  }

  /**
   * @param {readonly string[]} head
   * @param {readonly (readonly string[])[]} rows the first of each names it
   */
  tabulate(head, rows) {
    const shown = JSON.stringify([head, rows]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#head.replaceChildren(...head.map((name) => element("th", { scope: "col" }, name)));
    this.#body.replaceChildren(
      ...rows.map(([name = "", ...cells]) =>
        element(
          "tr",
          {},
          element("th", { scope: "row" }, name),
          ...cells.map((cell) => element("td", { class: "number" }, cell)),
        ),
      ),
    );
  }

  #turn() {
    const table = !this.showsTable;
    this.#region.hidden = !table;
    this.plot.hidden = table;
    this.toggle.setAttribute("aria-pressed", String(table));
    if (table) this.#opened();
  }
}

/**
 * A colour of the theme of now.
 * @param {string} property such as `--queue-1`
 * @returns {string}
 */
export function colorOf(property) {
  return getComputedStyle(document.documentElement).getPropertyValue(property).trim();
}

/**
 * Keys of the lines of a chart, each with its value.
 * @param {readonly {name: string, color: string, dash: readonly number[]}[]} lines
 */
export function makeLegend(lines) {
  const values = lines.map(() => element("span", { class: "number" }));
  const items = lines.map(({ name, color, dash }, at) => {
    const ns = "http://www.w3.org/2000/svg";
    const key = document.createElementNS(ns, "svg");
    const line = document.createElementNS(ns, "line");
    for (const [attribute, value] of Object.entries({ width: "22", height: "8", "aria-hidden": "true" }))
      key.setAttribute(attribute, value);
    for (const [attribute, value] of Object.entries({
      x1: "0",
      x2: "22",
      y1: "4",
      y2: "4",
      "stroke-width": "3",
    }))
      line.setAttribute(attribute, value);
    line.setAttribute("stroke-dasharray", dash.join(" "));
    line.style.stroke = `var(${color})`;
    key.append(line);
    return element("li", {}, key, `${name} `, values[at] ?? "");
  });
  const root = element("ul", { class: "legend" }, ...items);
  /** @param {readonly string[]} texts */
  const show = (texts) => values.forEach((value, at) => say(value, texts[at] ?? ""));
  return { root, show };
}

/** What the axes of all charts have in common. */
export const axisStyle = () => ({
  stroke: () => colorOf("--quiet"),
  font: "12px system-ui, sans-serif",
  grid: { stroke: () => colorOf("--grid"), width: 1 },
  ticks: { show: false },
});
