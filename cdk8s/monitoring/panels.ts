import type { Builder } from "@grafana/grafana-foundation-sdk/cog";
import {
  AxisPlacement,
  BigValueColorMode,
  BigValueGraphMode,
  BigValueTextMode,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
  LineInterpolation,
  ReduceDataOptionsBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  type VizTooltipOptions,
} from "@grafana/grafana-foundation-sdk/common";
import {
  type DashboardLink,
  DashboardLinkBuilder,
  DashboardLinkType,
  FieldColorBuilder,
  FieldColorModeId,
  MappingType,
  type Panel,
  type ThresholdsConfig,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  type ValueMapping,
} from "@grafana/grafana-foundation-sdk/dashboard";
import * as heatmaps from "@grafana/grafana-foundation-sdk/heatmap";
import { DataqueryBuilder, PromQueryFormat } from "@grafana/grafana-foundation-sdk/prometheus";
import * as stats from "@grafana/grafana-foundation-sdk/stat";
import * as timelines from "@grafana/grafana-foundation-sdk/statetimeline";
import * as graphs from "@grafana/grafana-foundation-sdk/timeseries";
import { kebabCase, RUNBOOK_BASE } from "./rule.ts";

export const DATASOURCE = { type: "prometheus", uid: "${datasource}" };

export type Color = "green" | "orange" | "red" | "blue" | "gray";
/** A colour, and those that take its place from a value upwards. */
export type Thresholds = readonly [Color, ...(readonly [from: number, color: Color])[]];

export interface Query {
  readonly expr: string;
  readonly legend?: string;
  /** A bound that other series are compared with: dashed, without filling. */
  readonly isBound?: boolean;
}

export interface PanelOf {
  readonly title: string;
  readonly description: string;
  readonly unit: string;
  readonly queries: readonly Query[];
  /** What to show where there is no answer. */
  readonly none?: string;
  readonly thresholds?: Thresholds;
  /** What values mean in words. */
  readonly words?: Words;
  /** Those that watch this; their runbooks are linked. */
  readonly alerts?: readonly string[];
  /** The name of the dashboard that has more of it. */
  readonly more?: string;
}
export type Words = Readonly<Record<number, { readonly text: string; readonly color: Color }>>;

/** The figure of now. */
export function stat(of: PanelOf): Builder<Panel> {
  const panel = new stats.PanelBuilder()
    .height(4)
    .graphMode(BigValueGraphMode.None)
    .colorMode(BigValueColorMode.Value)
    .textMode(BigValueTextMode.Value)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(["lastNotNull"]));
  // A range would go on showing the last value of a series that has ended.
  for (const target of targetsOf(of)) panel.withTarget(target.instant());
  return described(panel, { thresholds: ["green"], ...of });
}

export interface GraphOf extends PanelOf {
  /** Lines on top of each other, steps, or lines. */
  readonly shape?: "stacked" | "steps";
  /** Thresholds as lines in the graph. */
  readonly showThresholds?: boolean;
}

export function graph(of: GraphOf): Builder<Panel> {
  const isStacked = of.shape === "stacked";
  const panel = new graphs.PanelBuilder()
    .height(8)
    .min(0)
    .lineWidth(1)
    .fillOpacity(isStacked ? 40 : 8)
    .showPoints(VisibilityMode.Auto)
    .axisPlacement(AxisPlacement.Auto)
    .lineInterpolation(of.shape === "steps" ? LineInterpolation.StepAfter : LineInterpolation.Linear)
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.PaletteClassicByName))
    .legend(legend())
    .tooltip(tooltip());
  if (isStacked) panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group("A"));
  if (of.showThresholds === true) {
    const mode = GraphThresholdsStyleMode.Dashed;
    panel.thresholdsStyle(new GraphThresholdsStyleConfigBuilder().mode(mode));
  }
  targetsOf(of).forEach((target, index) => {
    panel.withTarget(target.range());
    if (of.queries[index]?.isBound === true) panel.overrideByQuery(refId(index), boundStyle);
  });
  return described(panel, of);
}

const boundStyle = [
  { id: "custom.lineStyle", value: { fill: "dash", dash: [8, 8] } },
  { id: "custom.fillOpacity", value: 0 },
  { id: "color", value: { mode: FieldColorModeId.Fixed, fixedColor: "red" } },
  { id: "custom.stacking", value: { mode: "none", group: "A" } },
];

/** How many there were, by bucket of a histogram and over time. */
export function heatmap(of: PanelOf): Builder<Panel> {
  const panel = new heatmaps.PanelBuilder()
    .height(8)
    .yAxis(new heatmaps.YAxisConfigBuilder().unit(of.unit))
    .color(new heatmaps.HeatmapColorOptionsBuilder().mode(heatmaps.HeatmapColorMode.Scheme).scheme("Oranges"))
    .tooltip(new heatmaps.HeatmapTooltipBuilder().mode(TooltipDisplayMode.Single).yHistogram(true));
  for (const target of targetsOf(of)) panel.withTarget(target.range().format(PromQueryFormat.Heatmap));
  return described(panel, of);
}

/** States over time, in words. `troubles` are series whose 1 is bad news, by the end of their names. */
export function timeline(of: PanelOf & { readonly troubles?: readonly string[] }): Builder<Panel> {
  const panel = new timelines.PanelBuilder()
    .height(8)
    .mergeValues(true)
    .showValue(VisibilityMode.Never)
    .legend(legend())
    .tooltip(tooltip());
  for (const target of targetsOf(of)) panel.withTarget(target.range());
  if (of.troubles !== undefined) {
    panel.overrideByRegexp(`/(${of.troubles.join("|")})$/`, [{ id: "mappings", value: mappingsOf(trouble) }]);
  }
  return described(panel, of);
}

/** Words for a figure that is 1 or 0. */
export const yesIsGood: Words = { 0: { text: "no", color: "red" }, 1: { text: "yes", color: "green" } };
export const yesIsBad: Words = { 0: { text: "no", color: "green" }, 1: { text: "yes", color: "red" } };
const trouble: Words = { 0: { text: "no", color: "gray" }, 1: { text: "yes", color: "orange" } };

/** What all builders of panels have. */
interface Describable {
  title(title: string): this;
  description(description: string): this;
  datasource(datasource: typeof DATASOURCE): this;
  unit(unit: string): this;
  noValue(text: string): this;
  thresholds(thresholds: Builder<ThresholdsConfig>): this;
  mappings(mappings: ValueMapping[]): this;
  links(links: Builder<DashboardLink>[]): this;
}

function described<B extends Describable>(panel: B, of: PanelOf): B {
  panel.title(of.title).description(of.description).unit(of.unit).datasource(DATASOURCE);
  if (of.none !== undefined) panel.noValue(of.none);
  if (of.words !== undefined) panel.mappings(mappingsOf(of.words));
  if (of.thresholds !== undefined) panel.thresholds(thresholdsOf(of.thresholds));
  const links = [
    ...(of.more === undefined ? [] : [linkTo(`Millrace ${of.more}`, detailUrl(of.more))]),
    ...(of.alerts ?? []).map((alert) => linkTo(`Runbook of ${alert}`, runbookUrl(alert))),
  ];
  if (links.length > 0) panel.links(links);
  return panel;
}

const runbookUrl = (alert: string): string => `${RUNBOOK_BASE}${kebabCase(alert)}.md`;

/** Of another dashboard, with the variables and the time of this one. */
const detailUrl = (name: string): string => `/d/millrace-${name}?\${__all_variables}&\${__url_time_range}`;

function linkTo(title: string, url: string): Builder<DashboardLink> {
  return placedInSight(new DashboardLinkBuilder(title).type(DashboardLinkType.Link).url(url));
}

/** The SDK's default would put a link into a menu. */
export function placedInSight(link: Builder<DashboardLink>): Builder<DashboardLink> {
  return {
    build() {
      const { placement: _, ...rest } = link.build();
      return rest;
    },
  };
}

const refId = (index: number): string => String.fromCodePoint("A".charCodeAt(0) + index);

function targetsOf({ queries }: PanelOf): readonly DataqueryBuilder[] {
  return queries.map(({ expr, legend: name = "" }, index) =>
    new DataqueryBuilder().refId(refId(index)).datasource(DATASOURCE).expr(expr).legendFormat(name),
  );
}

function thresholdsOf([base, ...steps]: Thresholds): Builder<ThresholdsConfig> {
  return new ThresholdsConfigBuilder()
    .mode(ThresholdsMode.Absolute)
    .steps([{ value: null, color: base }, ...steps.map(([value, color]) => ({ value, color }))]);
}

function mappingsOf(words: Words): ValueMapping[] {
  const options = Object.fromEntries(
    Object.entries(words).map(([value, { text, color }], index) => [value, { text, color, index }]),
  );
  return [{ type: MappingType.ValueToText, options }];
}

const legend = () =>
  new VizLegendOptionsBuilder()
    .showLegend(true)
    .displayMode(LegendDisplayMode.List)
    .placement(LegendPlacement.Bottom)
    .calcs([]);
const tooltip = (): Builder<VizTooltipOptions> => ({
  build: () => ({ mode: TooltipDisplayMode.Multi, sort: SortOrder.Descending }),
});
