import { fullName } from "../names.ts";
import { Named, shortened, text } from "../template/expression.ts";

/** Projections by name, each with the component of its worker. */
export const workerComponents = {
  accountName: "worker-account-name",
  distinctName: "worker-distinct-name",
  hourlyLog: "worker-hourly-log",
} as const;
export const OPERATOR = "operator";
/** Roles of Millrace that are always there, each with its component. */
export const components = {
  collector: "collector",
  query: "query",
  sweeper: "sweeper",
  ...workerComponents,
} as const;
export type Component = (typeof components)[keyof typeof components] | typeof OPERATOR;

/** Of every role: where its metrics and its health are. */
export const ADMIN_PORT = 9090;
const adminNameOf = (component: Component): Named<string> =>
  new Named(`millrace.admin.${component}`, shortened(text`${fullName}-${component}-admin`, 63));
/** The headless Services by which the pods of each component are found, ready or not. */
export const adminNames: Readonly<Record<Component, Named<string>>> = {
  collector: adminNameOf("collector"),
  query: adminNameOf("query"),
  sweeper: adminNameOf("sweeper"),
  "worker-account-name": adminNameOf("worker-account-name"),
  "worker-distinct-name": adminNameOf("worker-distinct-name"),
  "worker-hourly-log": adminNameOf("worker-hourly-log"),
  operator: adminNameOf(OPERATOR),
};
