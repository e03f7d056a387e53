import type { AlertCases } from "./alert-cases.ts";

const expiry = (instance: string, certificate = "server"): string =>
  `millrace_certificate_expiry_timestamp_seconds{namespace="shop",instance="${instance}",certificate="${certificate}"}`;
const failing = (instance: string, file = "keys"): string =>
  `millrace_file_failing{namespace="shop",instance="${instance}",file="${file}"}`;
const DAY = 86_400;
const unread = (file: string): string =>
  `In namespace shop, the files of ${file} cannot be read; what they held before stays in use, and a process that starts now ends.`;

/** promtool's clock begins at 0, and with it the time until a certificate expires. */
export const fileCases: Readonly<Record<string, AlertCases>> = {
  MillraceCertificateExpiring: {
    firing: {
      "one of two collectors has a certificate for thirteen days": {
        series: {
          [expiry("collector-1")]: `${13 * DAY}x30`,
          [expiry("collector-2")]: `${90 * DAY}x30`,
        },
        at: "16m",
        labels: { namespace: "shop", certificate: "server" },
        description: "In namespace shop, the certificate of server connections has 12d 23h 44m 0s left.",
      },
      "it has expired": {
        series: { [expiry("worker-1", "store")]: "60x30" },
        at: "16m",
        labels: { namespace: "shop", certificate: "store" },
        description: "In namespace shop, the certificate of store connections has -15m 0s left.",
      },
    },
    silent: {
      "it expires in fifteen days": { series: { [expiry("collector-1")]: `${15 * DAY}x30` }, at: "16m" },
      "it was renewed": {
        series: { [expiry("collector-1")]: `${2 * DAY}x10 ${90 * DAY}x30` },
        at: "16m",
      },
      "there are none": { series: { [failing("collector-1")]: "0x30" }, at: "16m" },
    },
  },
  MillraceFileFailing: {
    firing: {
      "a collector cannot read the keys": {
        series: { [failing("collector-1")]: "1x30", [failing("collector-2")]: "0x30" },
        at: "16m",
        labels: { namespace: "shop", file: "keys" },
        description: unread("keys"),
      },
      "a worker cannot read its certificate for RabbitMQ": {
        series: { [failing("worker-1", "broker")]: "0x3 1x30" },
        at: "20m",
        labels: { namespace: "shop", file: "broker" },
        description: unread("broker"),
      },
    },
    silent: {
      "it was mended within ten minutes": { series: { [failing("collector-1")]: "1x10 0x30" }, at: "16m" },
      "all can be read": { series: { [failing("collector-1")]: "0x30" }, at: "16m" },
    },
  },
};
