import type { Moment, Run } from "./simulation.ts";
import type { Summary } from "./summary.ts";
import { heading, legend, minutes, niceOver, panel, picture, round, text, WIDTH } from "./svg.ts";

const COLOURS = ["#0f766e", "#c2410c"] as const;
const LEFT = 62;
const PLOT_WIDTH = WIDTH - LEFT - 24;
const PANEL_HEIGHT = 92;
const GAP = 34;

/** What two policies did on one day: what came, what waited and how long, and the replicas. */
export function dayPlot(runs: readonly [Run, Run], objectiveSeconds: number): string {
  const mostX = Math.max(...runs.map(({ timeline }) => timeline.at(-1)?.second ?? 0));
  const lines = (of: (moment: Moment) => number) =>
    runs.map(({ policy, timeline }, index) => ({
      name: policy,
      colour: COLOURS[index] ?? "#000000",
      points: timeline.map((moment) => [moment.second, of(moment)] as const),
    }));
  const load = { name: "published", colour: "#4b5563" };
  const published = runs[0].timeline.map(({ second, perSecond }) => [second, perSecond] as const);
  const panels = [
    { title: "messages published a second", lines: [{ ...load, points: published }], mostX },
    { title: "messages in the queue", lines: lines(({ backlog }) => backlog), mostX },
    {
      title: "longest wait, in seconds",
      lines: lines(({ waited }) => waited),
      level: { y: objectiveSeconds, name: "objective" },
      mostX,
    },
    { title: "replicas", lines: lines(({ current }) => current), mostX },
  ];
  const frames = panels.map((_, index) => ({
    left: LEFT,
    top: 74 + index * (PANEL_HEIGHT + GAP),
    width: PLOT_WIDTH,
    height: PANEL_HEIGHT,
  }));
  const last = frames.at(-1);
  return picture(`Millrace and KEDA on ${runs[0].trace}`, 74 + panels.length * (PANEL_HEIGHT + GAP), [
    text(LEFT, 28, runs[0].trace, heading),
    ...legend(
      WIDTH - 290,
      28,
      lines(() => 0),
    ),
    ...panels.flatMap((one, index) => {
      const frame = frames[index];
      return frame === undefined ? [] : panel(one, frame);
    }),
    ...(last === undefined ? [] : minutes(mostX, last)),
  ]);
}

/** Every policy by what it costs and how much it misses; the best is at the lower left. */
export function frontierPlot(all: readonly Summary[]): string {
  const height = 380;
  const frame = { left: LEFT, top: 50, width: PLOT_WIDTH, height: 270 };
  const mostCost = Math.max(...all.map(({ cost }) => cost)) + 0.3;
  const mostMissed = niceOver(Math.max(...all.map(({ missed }) => 100 * missed)));
  const x = (cost: number) => frame.left + ((cost - 1) / (mostCost - 1)) * frame.width;
  const y = (missed: number) => frame.top + frame.height - (missed / mostMissed) * frame.height;
  const costs = Array.from({ length: Math.floor((mostCost - 1) / 0.5) + 1 }, (_, index) => 1 + index / 2);
  const grid = [
    ...costs.flatMap((cost) => [
      `<line x1="${round(x(cost))}" y1="${frame.top}" x2="${round(x(cost))}" y2="${frame.top + frame.height}" stroke="#e5e7eb"/>`,
      text(x(cost), frame.top + frame.height + 18, cost.toFixed(1), 'fill="#6b7280" text-anchor="middle"'),
    ]),
    ...[0, 0.5, 1].flatMap((share) => [
      `<line x1="${frame.left}" y1="${round(y(share * mostMissed))}" x2="${frame.left + frame.width}" y2="${round(y(share * mostMissed))}" stroke="#e5e7eb"/>`,
      text(
        frame.left - 6,
        y(share * mostMissed) + 4,
        `${share * mostMissed}`,
        'fill="#6b7280" text-anchor="end"',
      ),
    ]),
  ];
  const points = all.flatMap(({ policy, cost, missed }) => {
    const isOurs = policy === "Millrace";
    const label = `fill="${isOurs ? COLOURS[0] : "#1f2937"}" font-weight="${isOurs ? 700 : 400}"`;
    return [
      `<circle cx="${round(x(cost))}" cy="${round(y(100 * missed))}" r="${isOurs ? 7 : 5}" fill="${isOurs ? COLOURS[0] : COLOURS[1]}"/>`,
      text(x(cost) + 10, y(100 * missed) - 8, policy, label),
    ];
  });
  return picture("Misses over cost, by policy", height, [
    text(LEFT, 28, "messages over the objective, in %, over the cost (1.0: a clairvoyant)", heading),
    ...grid,
    ...points,
    text(
      frame.left + frame.width,
      height - 14,
      "replica-seconds over a clairvoyant's",
      'fill="#6b7280" text-anchor="end"',
    ),
  ]);
}
