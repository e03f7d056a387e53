import { type App, Chart } from "cdk8s";
import { roleWorkload } from "./role.ts";
import { more } from "../template/expression.ts";
import { values } from "../values.ts";

export function sweeper(app: App): void {
  roleWorkload(new Chart(app, "sweeper"), {
    component: "sweeper",
    roleValues: values.sweeper,
    replicas: values.sweeper.replicas,
    several: more(values.sweeper.replicas, 1),
    needs: ["store"],
    args: ["sweeper"],
  });
}
