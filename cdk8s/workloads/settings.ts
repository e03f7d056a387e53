import type { App } from "cdk8s";
import { Chart } from "cdk8s";
import type { ConfigMap } from "kubernetes-types/core/v1.d.ts";
import { variableOf } from "../../src/settings.ts";
import { metadata, nameOf } from "../names.ts";
import { digits, Expression, joined, Named } from "../template/expression.ts";
import { Manifest } from "../template/manifest.ts";
import { checksum } from "../template/tree.ts";
import { settingValueNames } from "../setting-values.ts";
import { values } from "../values.ts";

const data: Readonly<Record<string, Expression<string> | string>> = {
  MILLRACE_HOST: "0.0.0.0",
  MILLRACE_LOG_FORMAT: "json",
  ...Object.fromEntries(
    settingValueNames.map((name) => [variableOf(name), asText(values.settings[name] as Expression<unknown>)]),
  ),
};

function asText(value: Expression<unknown>): Expression<string> {
  if (value.kind === "number") return digits(value as Expression<number>);
  if (value.kind === "structure") return joined(value as Expression<readonly string[]>, ",");
  return value as Expression<string>;
}

export const settingsName = nameOf("settings");
export const settingsChecksum = new Named("millrace.settingsChecksum", checksum(data));

/** The settings that all roles share, as their variables. */
export function settingsMap(app: App): void {
  const chart = new Chart(app, "settings");
  new Manifest<ConfigMap>(
    chart,
    "settings",
    { apiVersion: "v1", kind: "ConfigMap" },
    {
      metadata: metadata("settings"),
      data,
    },
  );
}
