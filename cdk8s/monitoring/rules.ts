import { stringify } from "yaml";
import type { RuleGroup } from "./rule.ts";
import { fileGroups } from "./rules-files.ts";
import { objectiveGroups } from "./rules-objectives.ts";
import { operatorGroups } from "./rules-operator.ts";
import { processGroups } from "./rules-processes.ts";
import { queueGroups } from "./rules-queues.ts";

export type { Rule, RuleGroup } from "./rule.ts";

/** All rules, for every Millrace that a Prometheus scrapes, told apart by `namespace`. */
export const ruleGroups: readonly RuleGroup[] = [
  ...objectiveGroups,
  ...queueGroups,
  ...processGroups,
  ...fileGroups,
  ...operatorGroups,
];

/** A rule file of Prometheus, without any Kubernetes around it. */
export const ruleFile = (): string => stringify({ groups: ruleGroups }, { lineWidth: 0 });
