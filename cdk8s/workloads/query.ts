import { type App, Chart } from "cdk8s";
import { COLLECTOR_PORT } from "./collector.ts";
import { ADMIN_PORT, adminNames, components, OPERATOR } from "./components.ts";
import { keysFile, writeKeyHashes } from "./keys.ts";
import { brokerEnv } from "./rabbitmq.ts";
import { roleWorkload } from "./role.ts";
import { variableOf } from "../../src/settings.ts";
import { nameOf } from "../names.ts";
import { choose, type Expression, more, text } from "../template/expression.ts";
import { when } from "../template/tree.ts";
import { values } from "../values.ts";

export const QUERY_PORT = 3001;
/** Whether it serves the live page. */
export const consoleIsOn = values.query.console.enabled;

const source = (role: keyof typeof components | "operator"): Expression<string> => {
  const component = role === "operator" ? OPERATOR : components[role];
  return text`${role}=${adminNames[component]}:${String(ADMIN_PORT)}`;
};
/** Where the console reads the figures of each role. */
const sources = text`${source("collector")},${source("query")},${source("sweeper")},${source("accountName")},${source("distinctName")},${source("hourlyLog")}${choose(values.operator.enabled, text`,${source("operator")}`, "")}`;

export function query(app: App): void {
  roleWorkload(new Chart(app, "query"), {
    component: "query",
    roleValues: values.query,
    replicas: values.query.replicas,
    several: more(values.query.replicas, 1),
    needs: ["store"],
    args: ["query"],
    httpPort: QUERY_PORT,
    files: [keysFile],
    env: [
      keysFile.env,
      { name: variableOf("console"), value: choose(consoleIsOn, "on", "off") },
      // What follows is the console's: test events, dead letters, and who may do what with them.
      ...[
        { name: variableOf("consoleSources"), value: sources },
        {
          name: variableOf("collectorUrl"),
          value: text`http://${nameOf("collector")}:${String(COLLECTOR_PORT)}`,
        },
        ...brokerEnv,
        writeKeyHashes,
      ].map((variable) => when(consoleIsOn, variable)),
    ],
  });
}
