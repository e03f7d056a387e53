/** @import { ConsoleSetup, DecisionLog } from "../snapshot.ts" */
/** @import { Answer } from "./ask.js" */
import { offerAccounts } from "./account.js";
import { ask, problemShown } from "./ask.js";
import { Banner } from "./banner.js";
import { Charts } from "./charts.js";
import { Days } from "./days.js";
import { makeDecisions } from "./decisions.js";
import { byId, say } from "./element.js";
import { calmOf, faultsOf } from "./health.js";
import { History } from "./history.js";
import { offerKey } from "./key.js";
import { Letters } from "./letters.js";
import { follow } from "./live.js";
import { makeProcesses } from "./processes.js";
import { offerSearch } from "./search.js";
import { offerSending } from "./send.js";
import { timeOf } from "./shown.js";
import { offerThemes } from "./theme.js";
import { makeTiles } from "./tiles.js";
import { makeTotals } from "./totals.js";

const TOTALS_MS = 5000;
const DAYS_MS = 30_000;
/** How soon the set-up is asked for again where it could not be read. */
const AGAIN_MS = 2000;

const history = new History();
const banner = new Banner();
const charts = new Charts(byId("charts", HTMLElement));
const days = new Days();
const showTiles = makeTiles(byId("tiles", HTMLElement));
const showProcesses = makeProcesses(byId("process-list", HTMLElement));
const showDecisions = makeDecisions(byId("decisions", HTMLElement));
const loadTotals = makeTotals(byId("totals", HTMLElement));
const windowChoice = byId("window", HTMLSelectElement);
const connection = byId("connection", HTMLElement);
/** @type {DecisionLog | undefined} */
let decisions;
/** @type {Letters | undefined} */
let letters;

function show() {
  const { last } = history;
  // What is not looked at is drawn when it is looked at again.
  if (last === undefined || document.hidden) return;
  showHealth();
  showTiles(last);
  showProcesses(last.processes);
  letters?.show(last);
  const spanMs = Number(windowChoice.value) * 60_000;
  charts.show(history.since(last.atMs - spanMs), spanMs);
}

function showHealth() {
  const { last } = history;
  if (last === undefined) return;
  if (connection.dataset["state"] === "stale") {
    const words = `No figures come in: those below are of ${timeOf(last.atMs)}.`;
    banner.show([{ level: "bad", key: "stale", words }]);
    return;
  }
  const [worst, ...rest] = faultsOf(last, decisions);
  banner.show(worst === undefined ? [calmOf(last)] : [worst, ...rest]);
}

/**
 * Does it now, and again so long after each time it has been done, while the page is looked at.
 * @param {() => Promise<void>} task
 * @param {number} everyMs
 */
async function repeat(task, everyMs) {
  if (!document.hidden) await task();
  setTimeout(() => void repeat(task, everyMs), everyMs);
}

async function setUp() {
  /** @type {Answer<ConsoleSetup>} */
  const answer = await ask("console/setup");
  if (!answer.ok) {
    byId("letters", HTMLElement).replaceChildren(problemShown(answer.problem));
    setTimeout(() => void setUp(), AGAIN_MS);
    return;
  }
  say(byId("version", HTMLElement), answer.body.version);
  offerKey(answer.body.needsKeyFor, () => {
    followAnew();
    letters?.reload();
    void loadTotals();
    void days.load();
  });
  offerSending(answer.body);
  letters = new Letters(answer.body);
}

offerThemes(byId("theme", HTMLSelectElement), () => {
  charts.redraw();
  days.redraw();
});
windowChoice.addEventListener("change", show);
document.addEventListener("visibilitychange", show);
offerSearch();
offerAccounts();
const followAnew = follow({
  snapshots(snapshots) {
    history.add(snapshots);
    show();
  },
  decisions(log) {
    decisions = log;
    showDecisions(log);
    show();
  },
  state({ state, words }) {
    connection.dataset["state"] = state;
    document.body.dataset["state"] = state;
    say(connection, words);
    showHealth();
  },
});
void setUp();
void repeat(loadTotals, TOTALS_MS);
void repeat(() => days.load(), DAYS_MS);
