import { type Burn, budgetOf, burnRatio, burns, type Objective, thresholds } from "./objectives.ts";
import { alert, record, type Rule, type RuleGroup } from "./rule.ts";

/** What an objective is told by. */
interface Indicator {
  readonly objective: Objective;
  /** The labels that are left of its series. */
  readonly level: readonly string[];
  readonly name: string;
  /** The share that failed within a window; nothing where there was no traffic. */
  readonly ratio: (window: string) => string;
  /** Where at least so many failed within a window. */
  readonly enough: (window: string) => string;
}

const FAILED_EVENTS = 'millrace_events_total{outcome="failed"}';
/** A rejected event is the client's fault, and no traffic of this objective. */
const RIGHT_EVENTS = 'millrace_events_total{outcome=~"accepted|failed"}';
const FAILED_REQUESTS = 'millrace_requests_total{server="collector",status=~"5.."}';
const REQUESTS = 'millrace_requests_total{server="collector"}';

const share = (by: string, part: string, whole: string, window: string): string =>
  `sum by (${by}) (rate(${part}[${window}])) / (sum by (${by}) (rate(${whole}[${window}])) > 0)`;
const count = (by: string, of: string, window: string): string =>
  `sum by (${by}) (increase(${of}[${window}])) >= ${thresholds.fewestFailures}`;

/** The worse of two shares: a request that is refused before it is read has no events, and one that fails may have many. */
const acceptance: Indicator = {
  objective: "acceptance",
  level: ["namespace"],
  name: "millrace_acceptance_errors",
  ratio: (window) =>
    `max by (namespace) (
      label_replace(${share("namespace", FAILED_EVENTS, RIGHT_EVENTS, window)}, "of", "events", "", "")
      or label_replace(${share("namespace", FAILED_REQUESTS, REQUESTS, window)}, "of", "requests", "", ""))`,
  enough: (window) =>
    `(${count("namespace", FAILED_EVENTS, window)} or ${count("namespace", FAILED_REQUESTS, window)})`,
};

const LATE = "millrace_events_late_total";

const wait: Indicator = {
  objective: "wait",
  level: ["namespace", "queue"],
  name: "millrace_events_late",
  ratio: (window) => share("namespace, queue", LATE, "millrace_events_applied_total", window),
  enough: (window) => `(${count("namespace, queue", LATE, window)})`,
};

const recorded = ({ level, name }: Indicator, window: string): string =>
  `${level.join("_")}:${name}:ratio_rate${window}`;

function recordsOf(indicator: Indicator): readonly Rule[] {
  const windows = [...burns.page, ...burns.ticket].flatMap(({ long, short }) => [short, long]);
  return Array.from(new Set(windows), (window) =>
    record(recorded(indicator, window), indicator.ratio(window)),
  );
}

function burning(indicator: Indicator, all: readonly Burn[]): string {
  return all
    .map((burn) => {
      const limit = burnRatio(indicator.objective, burn);
      return `(${recorded(indicator, burn.long)} > ${limit} and ${recorded(indicator, burn.short)} > ${limit}
        and ${indicator.enough(burn.long)})`;
    })
    .join(" or ");
}

const allowed = (objective: Objective): string => `${Number((100 * budgetOf(objective)).toFixed(4))} %`;

const acceptanceGroup: RuleGroup = {
  name: "millrace-acceptance",
  rules: [
    ...recordsOf(acceptance),
    alert("MillraceAcceptanceBurn", {
      severity: "page",
      expr: burning(acceptance, burns.page),
      summary: "Collectors fail to take in events, fast enough to break the acceptance objective.",
      description:
        `In namespace {{ $labels.namespace }}, {{ $value | humanizePercentage }} of events or requests failed. ` +
        `The objective allows ${allowed("acceptance")} over 30 days.`,
    }),
    alert("MillraceAcceptanceSlowBurn", {
      severity: "ticket",
      expr: burning(acceptance, burns.ticket),
      summary: "Collectors fail to take in some events, steadily enough to break the acceptance objective.",
      description:
        `In namespace {{ $labels.namespace }}, {{ $value | humanizePercentage }} of events or requests failed ` +
        `over three days. The objective allows ${allowed("acceptance")} over 30 days.`,
    }),
  ],
};

const waitGroup: RuleGroup = {
  name: "millrace-wait",
  rules: [
    ...recordsOf(wait),
    alert("MillraceWaitBurn", {
      severity: "page",
      expr: burning(wait, burns.page),
      summary: "Events come into the store too late, fast enough to break the wait objective.",
      description:
        `In namespace {{ $labels.namespace }}, {{ $value | humanizePercentage }} of the events of queue ` +
        `{{ $labels.queue }} were stored later than promised. The objective allows ${allowed("wait")} over 30 days.`,
    }),
    alert("MillraceWaitSlowBurn", {
      severity: "ticket",
      expr: burning(wait, burns.ticket),
      summary: "Some events come into the store too late, steadily enough to break the wait objective.",
      description:
        `In namespace {{ $labels.namespace }}, {{ $value | humanizePercentage }} of the events of queue ` +
        `{{ $labels.queue }} were stored later than promised, over three days. The objective allows ` +
        `${allowed("wait")} over 30 days.`,
    }),
  ],
};

export const objectiveGroups: readonly RuleGroup[] = [acceptanceGroup, waitGroup];
