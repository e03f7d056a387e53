import type { AlertCases } from "./alert-cases.ts";

const of = (metric: string, instance: string, more = ""): string =>
  `${metric}{namespace="shop",instance="${instance}"${more}}`;
const info = (role: string, instance = `${role}-1`): string =>
  of("millrace_build_info", instance, `,role="${role}"`);
const up = (job = "millrace/collector"): string => of("up", "collector-1", `,job="${job}"`);
const began = of("process_start_time_seconds", "worker-1");
const loop = of("nodejs_eventloop_lag_p99_seconds", "worker-1");
const worker = info("hourlyLog", "worker-1");
const answers = (status: number): string =>
  of("millrace_requests_total", "query-1", `,server="query",route="/accounts/:username",status="${status}"`);

const down = (percent: string): string =>
  `In namespace shop, collector-1 of millrace/collector has answered ${percent} of the scrapes of the last ten minutes.`;
const absent = (role: string): string =>
  `In namespace shop, there was a ${role} within the last six hours, and now none tells its metrics.`;

export const processCases: Readonly<Record<string, AlertCases>> = {
  MillraceServiceAbsent: {
    firing: {
      "the only collector is gone": {
        series: { [info("collector")]: "1x30 stale", [info("hourlyLog")]: "1x60" },
        at: "37m",
        labels: { namespace: "shop", role: "collector" },
        description: absent("collector"),
      },
      "everything is gone": {
        series: { [info("query")]: "1x30 stale", [info("hourlyLog")]: "1x30 stale" },
        at: "37m",
        labels: { namespace: "shop", role: "query" },
        description: absent("query"),
      },
    },
    silent: {
      "one pod takes the place of another": {
        series: {
          [info("collector", "collector-1")]: "1x30 stale",
          [info("collector", "collector-2")]: "_x33 1x30",
        },
        at: "37m",
      },
      "it has been gone for four minutes": {
        series: { [info("collector")]: "1x30 stale", [info("hourlyLog")]: "1x60" },
        at: "35m",
      },
      "workers are scaled to none": {
        series: { [info("hourlyLog")]: "1x30 stale", [info("collector")]: "1x60" },
        at: "37m",
      },
    },
  },
  MillraceTargetDown: {
    firing: {
      "a process does not answer": {
        series: { [up()]: "1x10 0x30" },
        at: "22m",
        labels: { namespace: "shop", instance: "collector-1", job: "millrace/collector" },
        description: down("0%"),
      },
      "a process answers now and then": {
        series: { [up("millrace")]: "0 0 0 1 0 0 0 1 0 0 0 1 0 0 0 1 0 0 0 1 0 0" },
        at: "6m",
        labels: { namespace: "shop", instance: "collector-1", job: "millrace" },
        description: down("14.29%").replace("millrace/collector", "millrace"),
      },
    },
    silent: {
      "a process misses every third scrape": {
        series: { [up()]: "1 1 0 1 1 0 1 1 0 1 1 0 1 1 0 1 1 0 1 1 0 1" },
        at: "20m",
      },
      "a process of somebody else is down": { series: { [up("millrace-like")]: "0x30" }, at: "20m" },
    },
  },
  MillraceMetricsAbsent: {
    firing: {
      "nothing is scraped": {
        series: {},
        at: "16m",
        labels: {},
        description: "No process of Millrace is scraped, so that none of its other alerts can fire.",
      },
    },
    silent: { "one process is scraped": { series: { [info("collector")]: "1x30" }, at: "16m" } },
  },
  MillraceRestarting: {
    firing: {
      "a worker starts three times anew": {
        series: { [began]: "10 10 130 130 250 250 370 370x20", [worker]: "1 1 _ 1 1 _ 1x25" },
        at: "10m",
        labels: { namespace: "shop", instance: "worker-1", role: "hourlyLog" },
        description: "In namespace shop, worker-1 (hourlyLog) has started anew 3 times within half an hour.",
      },
    },
    silent: {
      "a worker starts twice anew": {
        series: { [began]: "10 10 130 130 250 250x20", [worker]: "1x30" },
        at: "10m",
      },
      "a process of somebody else starts over and over": {
        series: { [began]: "10 70 130 190 250 310x20" },
        at: "10m",
      },
    },
  },
  MillraceEventLoopStalled: {
    firing: {
      "the loop is 0.6 s late": {
        series: { [loop]: "0.6x30", [worker]: "1x30" },
        at: "11m",
        labels: { namespace: "shop", instance: "worker-1", role: "hourlyLog" },
        description: "In namespace shop, the event loop of worker-1 (hourlyLog) is up to 600ms late.",
      },
    },
    silent: {
      "the loop is 0.4 s late": { series: { [loop]: "0.4x30", [worker]: "1x30" }, at: "11m" },
      "it was late for nine minutes": { series: { [loop]: "0.6x8 0.1x20", [worker]: "1x30" }, at: "11m" },
    },
  },
  MillraceQueryFailing: {
    firing: {
      "6 % of the answers are errors": {
        series: { [answers(200)]: "0+94x30", [answers(500)]: "0+6x30" },
        at: "8m",
        labels: { namespace: "shop" },
        description: "In namespace shop, 6% of the requests to the query API were answered 5xx.",
      },
    },
    silent: {
      "4 % of the answers are errors": {
        series: { [answers(200)]: "0+96x30", [answers(500)]: "0+4x30" },
        at: "16m",
      },
      "nine of ten are errors": { series: { [answers(200)]: "0 1x30", [answers(500)]: "0 9x30" }, at: "8m" },
      "clients ask for what is not there": {
        series: { [answers(200)]: "0+10x30", [answers(404)]: "0+50x30" },
        at: "16m",
      },
    },
  },
};
