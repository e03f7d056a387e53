import type { App } from "cdk8s";
import { Chart } from "cdk8s";
import type { ConfigMap } from "kubernetes-types/core/v1.d.ts";
import { settings, variableOf } from "../../src/settings.ts";
import { metadata, nameOf } from "../names.ts";
import { digits, type Expression, is, joined, Named, not } from "../template/expression.ts";
import { Manifest } from "../template/manifest.ts";
import { checksum, type Templated, when } from "../template/tree.ts";
import { settingValueNames } from "../setting-values.ts";
import { values } from "../values.ts";

const decided = { MILLRACE_HOST: "0.0.0.0", MILLRACE_LOG_FORMAT: "json" };
const chosen = Object.fromEntries(
  settingValueNames.map((name) => [variableOf(name), asText(values.settings[name] as Expression<unknown>)]),
);
/**
 * Without what is at its default: a pod of the version before, which starts in the midst of an update, refuses a variable that it does not
 * know.
 */
const data: Readonly<Record<string, Templated<string>>> = {
  ...decided,
  ...Object.fromEntries(
    settingValueNames.map((name) => {
      const text = chosen[variableOf(name)] as Expression<string>;
      return [variableOf(name), when(not(is(text, String(settings[name].default))), text)];
    }),
  ),
};

function asText(value: Expression<unknown>): Expression<string> {
  if (value.kind === "number") return digits(value as Expression<number>);
  if (value.kind === "structure") return joined(value as Expression<readonly string[]>, ",");
  return value as Expression<string>;
}

export const settingsName = nameOf("settings");
export const settingsChecksum = new Named("millrace.settingsChecksum", checksum({ ...decided, ...chosen }));

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
