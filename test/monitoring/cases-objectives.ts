import type { AlertCases } from "./alert-cases.ts";

const events = (outcome: string): string =>
  `millrace_events_total{namespace="shop",instance="collector-1",outcome="${outcome}"}`;
const requests = (status: number): string =>
  `millrace_requests_total{namespace="shop",instance="collector-1",server="collector",route="/event",status="${status}"}`;
const applied = 'millrace_events_applied_total{namespace="shop",instance="worker-1",queue="hourlyLog"}';
const late = 'millrace_events_late_total{namespace="shop",instance="worker-1",queue="hourlyLog"}';

const shop = { namespace: "shop" };
const hourly = { namespace: "shop", queue: "hourlyLog" };
const failing = (percent: string, over = "") =>
  `In namespace shop, ${percent} of events or requests failed${over}. The objective allows 0.1 % over 30 days.`;
const waiting = (percent: string, over = "") =>
  `In namespace shop, ${percent} of the events of queue hourlyLog were stored later than promised${over}. The objective allows 1 % over 30 days.`;

export const objectiveCases: Readonly<Record<string, AlertCases>> = {
  MillraceAcceptanceBurn: {
    firing: {
      "1.6 % of the events fail for an hour, after five good ones": {
        series: { [events("accepted")]: "0+984x400", [events("failed")]: "0x299 0+16x100" },
        at: "360m",
        labels: shop,
        description: failing("1.6%"),
      },
      "0.7 % of the events fail for six hours": {
        series: { [events("accepted")]: "0+993x400", [events("failed")]: "0+7x400" },
        at: "360m",
        labels: shop,
        description: failing("0.7%"),
      },
      "none of the last ten events is taken in": {
        series: { [events("accepted")]: "100x30", [events("failed")]: "0x9 0+1x30" },
        at: "20m",
        labels: shop,
        description: failing("100%"),
      },
      "requests are refused before they are read": {
        series: {
          [events("accepted")]: "100x30",
          [events("failed")]: "0x30",
          [requests(200)]: "0+10x30",
          [requests(503)]: "0+10x30",
        },
        at: "20m",
        labels: shop,
        description: failing("50%"),
      },
    },
    silent: {
      "1 % of an hour failed, and 2 % do by now": {
        series: { [events("accepted")]: "0+1000x400", [events("failed")]: "0x330 0+20x70" },
        at: "360m",
      },
      "1.8 % of an hour failed, and 1 % do by now": {
        series: { [events("accepted")]: "0+1000x400", [events("failed")]: "0x300 0+20x50 1010+10x50" },
        at: "360m",
      },
      "0.5 % of six hours failed, and 0.9 % do by now": {
        series: { [events("accepted")]: "0+1000x400", [events("failed")]: "0+4.5x320 1449+9x80" },
        at: "360m",
      },
      "0.8 % of six hours failed, and 0.5 % do by now": {
        series: { [events("accepted")]: "0+1000x400", [events("failed")]: "0+8x320 2565+5x80" },
        at: "360m",
      },
      "1.6 % of an hour failed, and it is over": {
        series: { [events("accepted")]: "0+1000x400", [events("failed")]: "0x330 0+100x10 1000x60" },
        at: "350m",
      },
      "nine events fail of eighteen": {
        series: { [events("accepted")]: "0 0+1x30", [events("failed")]: "0 0+1x30" },
        at: "10m",
      },
      "nine requests fail of eighteen": {
        series: { [requests(200)]: "0 0+1x30", [requests(503)]: "0 0+1x30" },
        at: "10m",
      },
      "there is no traffic": {
        series: { [events("accepted")]: "100x30", [events("failed")]: "50x30", [requests(503)]: "50x30" },
        at: "20m",
      },
      "clients send what is invalid": {
        series: {
          [events("accepted")]: "0x30",
          [events("failed")]: "0x30",
          [events("rejected")]: "0+100x30",
          [requests(400)]: "0+100x30",
        },
        at: "20m",
      },
    },
  },
  MillraceAcceptanceSlowBurn: {
    firing: {
      "0.15 % of the events fail for three days": {
        interval: "5m",
        series: { [events("accepted")]: "0+9985x900", [events("failed")]: "0+15x900" },
        at: "4320m",
        labels: shop,
        description: failing("0.15%", " over three days"),
      },
    },
    silent: {
      "0.09 % of the events fail for three days": {
        interval: "5m",
        series: { [events("accepted")]: "0+9991x900", [events("failed")]: "0+9x900" },
        at: "4320m",
      },
      "half of the events failed on the first day, and none since": {
        interval: "5m",
        series: { [events("accepted")]: "0+1000x900", [events("failed")]: "0+1000x288 288000x600" },
        at: "4320m",
      },
    },
  },
  MillraceWaitBurn: {
    firing: {
      "16 % of the events are late for an hour, after five good ones": {
        series: { [applied]: "0+100x400", [late]: "0x299 0+16x100" },
        at: "360m",
        labels: hourly,
        description: waiting("16%"),
      },
      "7 % of the events are late for six hours": {
        series: { [applied]: "0+100x400", [late]: "0+7x400" },
        at: "360m",
        labels: hourly,
        description: waiting("7%"),
      },
    },
    silent: {
      "5.9 % of the events are late": {
        series: { [applied]: "0+1000x400", [late]: "0+59x400" },
        at: "360m",
      },
      "13 % of the events are late for an hour, after five good ones": {
        series: { [applied]: "0+100x400", [late]: "0x299 0+13x100" },
        at: "360m",
      },
      "a sixth of an hour's events was late, and it is over": {
        series: { [applied]: "0+100x400", [late]: "0x330 0+100x10 1000x60" },
        at: "350m",
      },
      "nine events are late of eighteen": {
        series: { [applied]: "0 0+2x30", [late]: "0 0+1x30" },
        at: "10m",
      },
      "no event has been stored since": { series: { [applied]: "100x90", [late]: "100x90" }, at: "60m" },
    },
  },
  MillraceWaitSlowBurn: {
    firing: {
      "1.5 % of the events are late for three days": {
        interval: "5m",
        series: { [applied]: "0+1000x900", [late]: "0+15x900" },
        at: "4320m",
        labels: hourly,
        description: waiting("1.5%", ", over three days"),
      },
    },
    silent: {
      "0.9 % of the events are late for three days": {
        interval: "5m",
        series: { [applied]: "0+1000x900", [late]: "0+9x900" },
        at: "4320m",
      },
    },
  },
};
