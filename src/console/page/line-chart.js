/** @import uPlot from "uplot" */
/** @import { Snapshot } from "../snapshot.ts" */
import { axisStyle, colorOf, Frame, makeLegend } from "./frame.js";
import { element } from "./element.js";
import { Plot } from "./plot.js";
import { timeOf } from "./shown.js";

const HEIGHT = 180;
/** A row of the table every so often. */
const ROW_MS = 10_000;
/** Where snapshots are missing for longer than this, the line is broken. */
const GAP_MS = 5000;
/** Between the marks of an axis of whole numbers. */
const WHOLE_STEPS = Array.from({ length: 12 }, (_, power) =>
  [1, 2, 5].map((step) => step * 10 ** power),
).flat();
/** The words for a screen reader are renewed this often. */
const WORDS_MS = 5000;

/**
 * @typedef {object} Line
 * @property {string} name
 * @property {string} color custom property of console.css
 * @property {readonly number[]} dash
 * @property {number} [width]
 * @property {(snapshot: Snapshot) => number | null} value
 */
/**
 * @typedef {object} LineChartOptions
 * @property {string} title
 * @property {readonly Line[]} lines
 * @property {(value: number | null) => string} show
 * @property {"few" | "many"} [steps] for what comes in whole numbers alone
 */

/** The course of some figures over the last minutes. */
export class LineChart {
  #options;
  #frame;
  #legend;
  /** @type {readonly Snapshot[]} */
  #snapshots = [];
  #spanMs = 0;
  #describedMs = 0;
  /** @type {uPlot | undefined} */
  #plot;
  #resized;

  /** @param {LineChartOptions} options */
  constructor(options) {
    this.#options = options;
    this.#legend = makeLegend(options.lines);
    this.#frame = new Frame(options.title);
    const top = element("div", { class: "heading" }, element("h3", {}, options.title), this.#frame.toggle);
    this.root = element("div", { class: "card chart" }, top, this.#legend.root, this.#frame.root);
    this.#frame.onTable(() => this.#fillTable());
    this.#resized = new ResizeObserver(() => this.#fit());
    this.#resized.observe(this.#frame.plot);
  }

  /**
   * @param {readonly Snapshot[]} snapshots those of the time that is shown
   * @param {number} spanMs how long that is
   */
  show(snapshots, spanMs) {
    this.#snapshots = snapshots;
    this.#spanMs = spanMs;
    if (this.#plot === undefined) this.#fit();
    this.#plot?.setData(this.#data());
    this.#showValues(this.#plot?.cursor.idx ?? null);
    this.#describe();
    if (this.#frame.showsTable) this.#fillTable();
  }

  /** In the colours of the theme of now. */
  redraw() {
    this.#plot?.redraw(false, true);
  }

  close() {
    this.#resized.disconnect();
    this.#plot?.destroy();
    this.root.remove();
  }

  #fit() {
    const width = this.#frame.plot.clientWidth;
    if (width === 0) return;
    if (this.#plot === undefined) this.#plot = this.#makePlot(width);
    else if (this.#plot.width !== width) this.#plot.setSize({ width, height: HEIGHT });
  }

  /**
   * @param {number} width
   * @returns {uPlot}
   */
  #makePlot(width) {
    const { lines, show, steps } = this.#options;
    const stepped = Plot.paths.stepped?.({ align: 1 });
    const axis = axisStyle();
    return new Plot(
      {
        width,
        height: HEIGHT,
        padding: [8, 8, 0, 0],
        legend: { show: false },
        cursor: { sync: { key: "flow" }, drag: { x: false, y: false }, y: false },
        hooks: { setCursor: [(plot) => this.#showValues(plot.cursor.idx ?? null)] },
        scales: {
          x: { range: () => this.#range() },
          y: { range: (_plot, _low, high) => [0, topOf(high, steps === "few")] },
        },
        axes: [
          {
            ...axis,
            size: 26,
            space: 90,
            values: (_plot, ticks) => ticks.map((tick) => timeOf(tick * 1000)),
          },
          {
            ...axis,
            size: 64,
            space: steps === "few" ? 20 : 30,
            ...(steps === undefined ? {} : { incrs: WHOLE_STEPS }),
            values: (_plot, ticks) => ticks.map((tick) => show(tick)),
          },
        ],
        series: [
          {},
          ...lines.map(({ name, color, dash, width: thick = 2 }) => ({
            label: name,
            stroke: () => colorOf(color),
            width: thick,
            dash: [...dash],
            points: { show: false },
            ...(steps === "few" && stepped !== undefined ? { paths: stepped } : {}),
          })),
        ],
      },
      this.#data(),
      this.#frame.plot,
    );
  }

  /** @returns {[number, number]} */
  #range() {
    const until = this.#snapshots.at(-1)?.atMs ?? Date.now();
    return [(until - this.#spanMs) / 1000, until / 1000];
  }

  /** @returns {uPlot.AlignedData} */
  #data() {
    /** @type {number[]} */
    const at = [];
    const columns = this.#options.lines.map(() => /** @type {(number | null)[]} */ ([]));
    let beforeMs = Number.POSITIVE_INFINITY;
    for (const snapshot of this.#snapshots) {
      if (snapshot.atMs - beforeMs > GAP_MS) {
        at.push((beforeMs + 1) / 1000);
        for (const column of columns) column.push(null);
      }
      beforeMs = snapshot.atMs;
      at.push(snapshot.atMs / 1000);
      this.#options.lines.forEach(({ value }, line) => columns[line]?.push(value(snapshot)));
    }
    return [at, ...columns];
  }

  /** @param {number | null} index under the pointer; without one, the newest are shown */
  #showValues(index) {
    const data = this.#plot?.data ?? this.#data();
    const at = index ?? data[0].length - 1;
    this.#legend.show(
      this.#options.lines.map((_line, line) => this.#options.show(data[line + 1]?.[at] ?? null)),
    );
  }

  #describe() {
    if (Date.now() - this.#describedMs < WORDS_MS) return;
    this.#describedMs = Date.now();
    const { lines, show } = this.#options;
    const words = lines.map(({ name, value }) => {
      const known = this.#snapshots.map(value).filter((figure) => figure !== null);
      if (known.length === 0) return `${name} not known`;
      const most = known.reduce((highest, figure) => Math.max(highest, figure), 0);
      return `${name} now ${show(known.at(-1) ?? null)}, highest ${show(most)}`;
    });
    this.#frame.describe(`the last ${this.#spanMs / 60_000} minutes; ${words.join("; ")}`);
  }

  #fillTable() {
    const { lines, show } = this.#options;
    /** @type {Map<number, Snapshot>} */
    const rows = new Map();
    for (const snapshot of this.#snapshots) rows.set(Math.floor(snapshot.atMs / ROW_MS), snapshot);
    // The newest changes each second; it is in the legend.
    const whole = Array.from(rows.values()).slice(0, -1).toReversed();
    this.#frame.tabulate(
      ["At", ...lines.map(({ name }) => name)],
      [...whole, ...(whole.length === 0 ? this.#snapshots.slice(-1) : [])].map((snapshot) => [
        timeOf(snapshot.atMs),
        ...lines.map(({ value }) => show(value(snapshot))),
      ]),
    );
  }
}

/**
 * The upper end of the axis.
 * @param {number | null} high
 * @param {boolean} few
 * @returns {number}
 */
function topOf(high, few) {
  if (high === null || !Number.isFinite(high) || high <= 0) return few ? 2 : 1;
  return few ? Math.ceil(high) + 1 : high * 1.12;
}
