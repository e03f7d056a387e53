import { type App, Chart } from "cdk8s";
import { roleWorkload } from "./role.ts";
import { more } from "../template/expression.ts";
import { values } from "../values.ts";

export const QUERY_PORT = 3001;

export function query(app: App): void {
  roleWorkload(new Chart(app, "query"), {
    component: "query",
    roleValues: values.query,
    replicas: values.query.replicas,
    several: more(values.query.replicas, 1),
    needs: ["store"],
    args: ["query"],
    httpPort: QUERY_PORT,
  });
}
