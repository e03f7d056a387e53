import { describe, expect, test } from "vitest";
import { dashboardFiles } from "../../cdk8s/monitoring/dashboards.ts";
import { createCheck } from "./sdk-types.ts";

const check = createCheck();
const files = Array.from(dashboardFiles(), ([file, text]) => ({ file, text }));

describe("the JSON of a dashboard", () => {
  test.for(files)("$file is of the SDK's types, with nothing beside them", ({ text }) => {
    expect(check(JSON.parse(text))).toEqual([]);
  });

  const spoiled = (from: string, to: string) => {
    const text = files[0]?.text ?? "";
    expect(text).toContain(from);
    return check(JSON.parse(text.replace(from, to)));
  };
  test.for([
    ["a misspelt property", '"fieldConfig"', '"fieldConfigs"'],
    ["a misspelt option of a panel", '"graphMode"', '"grafMode"'],
    ["a value that the type has not", '"graphMode": "none"', '"graphMode": "never"'],
    ["a text in place of a number", '"schemaVersion": 42', '"schemaVersion": "42"'],
    ["a number that an enum has not", '"graphTooltip": 1', '"graphTooltip": 7'],
    ["a missing property", '"templating"', '"tags2"'],
    ["a query without an expression", '"expr"', '"query"'],
    ["a panel of an unknown type", '"type": "stat"', '"type": "statt"'],
    ["a field's misspelt setting", '"fillOpacity"', '"fillOpacities"'],
  ] as const)("is found to have %s", ([, from, to]) => {
    expect(spoiled(from, to).length).toBeGreaterThan(0);
  });
});
