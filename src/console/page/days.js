/** @import uPlot from "uplot" */
import { askAll, problemShown } from "./ask.js";
import { byId, element } from "./element.js";
import { axisStyle, colorOf, Frame } from "./frame.js";
import { Plot } from "./plot.js";
import { si, whole } from "./shown.js";
import { nothing } from "./table.js";

/** @typedef {{_id: {metric: string, day?: string, month?: string}, count: number}} Row */
/** @typedef {{period: string, count: number}} Period */

/** Days and months that are shown. */
const LENGTH = { day: 30, month: 12 };
const PAGES = 20;
const HEIGHT = 200;
/** Metrics that can be chosen: a longer list is no list to choose from. */
const METRICS = 200;

/** The events by UTC day or month, as bars. */
export class Days {
  #place = byId("days-chart", HTMLElement);
  #granularity = byId("granularity", HTMLSelectElement);
  #metric = byId("days-metric", HTMLSelectElement);
  #frame = new Frame("Events per day or month, UTC");
  #cut = element("p", { class: "quiet" });
  /** @type {readonly Row[]} */
  #rows = [];
  /** @type {uPlot | undefined} */
  #plot;

  constructor() {
    this.#granularity.addEventListener("change", () => void this.load());
    this.#metric.addEventListener("change", () => this.#show());
    this.#metric.closest(".choices")?.append(this.#frame.toggle);
    new ResizeObserver(() => this.#fit()).observe(this.#frame.plot);
  }

  async load() {
    const by = this.#by;
    const wanted = new URLSearchParams({ granularity: by, from: periodsOf(by)[0] ?? "" });
    /** @type {Awaited<ReturnType<typeof askAll<Row>>>} */
    const answer = await askAll(`metrics/distinct_names?${wanted}`, PAGES);
    if (by !== this.#by) return;
    if (!answer.ok) {
      this.#place.replaceChildren(problemShown(answer.problem));
      return;
    }
    this.#rows = answer.rows;
    this.#cut.textContent = answer.more
      ? `The first ${whole(answer.rows.length)} counts are shown; there are more.`
      : "";
    this.#offerMetrics();
    this.#show();
  }

  redraw() {
    this.#plot?.redraw(false, true);
  }

  get #by() {
    return this.#granularity.value === "month" ? "month" : "day";
  }

  /** The metrics with the most events, in the order of their names. */
  #offerMetrics() {
    /** @type {Map<string, number>} */
    const sums = new Map();
    for (const { _id, count } of this.#rows) sums.set(_id.metric, (sums.get(_id.metric) ?? 0) + count);
    const most = Array.from(sums)
      .toSorted(([, one], [, other]) => other - one)
      .slice(0, METRICS);
    const names = most.map(([metric]) => metric).toSorted();
    const chosen = this.#metric.value;
    const offered = Array.from(this.#metric.options, ({ value }) => value).slice(1);
    if (JSON.stringify(offered) === JSON.stringify(names)) return;
    const all = element("option", { value: "" }, "all metrics");
    this.#metric.replaceChildren(all, ...names.map((metric) => element("option", { value: metric }, metric)));
    this.#metric.value = names.includes(chosen) ? chosen : "";
  }

  /** @returns {readonly Period[]} every one of the time that is shown, with 0 where there are none */
  #periods() {
    const by = this.#by;
    const metric = this.#metric.value;
    const counts = new Map(periodsOf(by).map((period) => [period, 0]));
    for (const { _id, count } of this.#rows) {
      const period = _id[by];
      if (period !== undefined && (metric === "" || metric === _id.metric))
        counts.set(period, (counts.get(period) ?? 0) + count);
    }
    return Array.from(counts, ([period, count]) => ({ period, count }));
  }

  #show() {
    if (this.#rows.length === 0) {
      this.#place.replaceChildren(nothing(`No events in the last ${LENGTH[this.#by]} ${this.#by}s.`));
      return;
    }
    const periods = this.#periods();
    this.#frame.tabulate(
      [this.#by === "day" ? "Day (UTC)" : "Month (UTC)", "Events"],
      periods
        .filter(({ count }) => count > 0)
        .toReversed()
        .map(({ period, count }) => [period, whole(count)]),
    );
    const sum = periods.reduce((events, { count }) => events + count, 0);
    const last = periods.at(-1);
    this.#frame.describe(
      `${whole(sum)} events in ${periods.length} ${this.#by}s, ${whole(last?.count ?? 0)} of them in the last, ${last?.period}`,
    );
    if (!this.#frame.root.isConnected) this.#place.replaceChildren(this.#frame.root, this.#cut);
    this.#plot?.destroy();
    this.#plot = undefined;
    this.#fit();
  }

  #fit() {
    const width = this.#frame.plot.clientWidth;
    if (width === 0 || this.#rows.length === 0) return;
    if (this.#plot === undefined) this.#plot = this.#makePlot(width);
    else if (this.#plot.width !== width) this.#plot.setSize({ width, height: HEIGHT });
  }

  /**
   * @param {number} width
   * @returns {uPlot}
   */
  #makePlot(width) {
    const periods = this.#periods();
    const bars = Plot.paths.bars?.({ size: [0.7, 48], radius: 0.1 });
    const axis = axisStyle();
    return new Plot(
      {
        width,
        height: HEIGHT,
        padding: [8, 8, 0, 0],
        legend: { show: false },
        cursor: { show: false },
        scales: {
          x: { time: false, range: () => [-0.6, periods.length - 0.4] },
          y: { range: (_plot, _low, high) => [0, Math.max(1, high ?? 1) * 1.1] },
        },
        axes: [
          {
            ...axis,
            grid: { show: false },
            size: 26,
            space: 56,
            incrs: [1, 2, 5, 7, 14],
            values: (_plot, ticks) => ticks.map((tick) => short(periods[tick]?.period ?? "")),
          },
          { ...axis, size: 64, space: 32, values: (_plot, ticks) => ticks.map((tick) => si(tick)) },
        ],
        series: [
          {},
          {
            label: "events",
            stroke: () => colorOf("--queue-1"),
            fill: () => colorOf("--queue-1"),
            width: 0,
            points: { show: false },
            ...(bars === undefined ? {} : { paths: bars }),
          },
        ],
      },
      [periods.map((_period, at) => at), periods.map(({ count }) => count)],
      this.#frame.plot,
    );
  }
}

/**
 * The last days or months of UTC, the present one at the end.
 * @param {"day" | "month"} by
 * @returns {readonly string[]}
 */
function periodsOf(by) {
  const now = new Date();
  const [year, month, day] = [now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()];
  return Array.from({ length: LENGTH[by] }, (_, at) => {
    const back = LENGTH[by] - 1 - at;
    const date = by === "day" ? Date.UTC(year, month, day - back) : Date.UTC(year, month - back, 1);
    return new Date(date).toISOString().slice(0, by === "day" ? 10 : 7);
  });
}

const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const month = new Intl.DateTimeFormat("en-GB", { month: "short", year: "2-digit", timeZone: "UTC" });

/**
 * @param {string} period
 * @returns {string}
 */
function short(period) {
  if (period === "") return "";
  return (period.length === 7 ? month : day).format(Date.parse(period));
}
