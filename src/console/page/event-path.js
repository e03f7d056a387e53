/** @import { Problem } from "./ask.js" */
/** @import { Summary } from "./totals.js" */
/** @import { Account } from "./account.js" */
/** @import { ProjectionName } from "../../domain/projection.ts" */
import { accountPath } from "./account.js";
import { ask, askAll } from "./ask.js";
import { counted, timeOf } from "./shown.js";

/** How long an event is looked for in a view. */
const LOOK_MS = 30_000;
/** From one look to the next, at first and at most. */
const FIRST_MS = 100;
const LONGEST_MS = 1000;
/** Pages of distinct names that are read to find a metric. */
const PAGES = 10;

/** @typedef {{username: string, metric: string}} Names */
/**
 * How many events of the metric and of the user a view had counted before.
 * @typedef {{distinctName: number, hourlyLog: number}} Before
 */
/** @typedef {{ok: true, words: string} | {ok: false, problem: Problem}} Found */

/**
 * What the views hold before an event is sent; a view that cannot tell counts as empty.
 * @param {Names} names
 * @returns {Promise<Before>}
 */
export async function seenBefore(names) {
  // The collector will say so; the views take no empty name.
  if (names.username === "" || names.metric === "") return { distinctName: 0, hourlyLog: 0 };
  const [today, hour] = await Promise.all([countOfToday(names), countOfHour(names)]);
  return {
    distinctName: typeof today === "number" ? today : 0,
    hourlyLog: typeof hour === "number" ? hour : 0,
  };
}

/**
 * Looks until the view holds the event, or for 30 s. A view tells sums, not ids: another event of the same names that
 * comes at the same time looks the same.
 * @param {ProjectionName} view
 * @param {Names} names
 * @param {Before} before
 * @param {() => boolean} wanted
 * @returns {Promise<Found>}
 */
export async function followEvent(view, names, before, wanted) {
  const untilMs = performance.now() + LOOK_MS;
  let pauseMs = FIRST_MS;
  /** @type {Problem | undefined} */
  let problem;
  while (wanted() && performance.now() < untilMs) {
    const seen = await look(view, names, before);
    if (typeof seen === "string") return { ok: true, words: seen };
    problem = seen;
    await new Promise((done) => setTimeout(done, pauseMs));
    pauseMs = Math.min(LONGEST_MS, pauseMs * 1.5);
  }
  const title = `not seen within ${LOOK_MS / 1000} s; it is durable, and waits in the queue ${view} or is a dead letter of it`;
  return { ok: false, problem: problem ?? { title, status: 0 } };
}

/**
 * @param {ProjectionName} view
 * @param {Names} names
 * @param {Before} before
 * @returns {Promise<string | Problem | undefined>} words where the view has it, nothing where it has not yet
 */
async function look(view, names, before) {
  if (view === "accountName") {
    /** @type {import("./ask.js").Answer<Account>} */
    const answer = await ask(accountPath(names.username));
    if (answer.ok) return `first seen ${timeOf(Date.parse(answer.body.firstSeen))}`;
    return answer.problem.status === 404 ? undefined : answer.problem;
  }
  const now = view === "distinctName" ? await countOfToday(names) : await countOfHour(names);
  if (typeof now !== "number") return now;
  if (now <= before[view]) return undefined;
  return view === "distinctName"
    ? `${counted(now, "event")} of this metric today`
    : `${counted(now, "event")} of this user and metric in the last hour`;
}

/**
 * @param {Names} names
 * @returns {Promise<number | Problem>}
 */
async function countOfToday({ metric }) {
  const day = new Date().toISOString().slice(0, 10);
  /** @type {Awaited<ReturnType<typeof askAll<{_id: {metric: string}, count: number}>>>} */
  const answer = await askAll(`metrics/distinct_names?granularity=day&from=${day}&to=${day}`, PAGES);
  if (!answer.ok) return answer.problem;
  return answer.rows.find(({ _id }) => _id.metric === metric)?.count ?? 0;
}

/**
 * @param {Names} names
 * @returns {Promise<number | Problem>}
 */
async function countOfHour({ username, metric }) {
  const wanted = new URLSearchParams({ username, metric });
  /** @type {import("./ask.js").Answer<Summary[]>} */
  const answer = await ask(`metrics/hourly_logs/per_user?${wanted}`);
  if (!answer.ok) return answer.problem;
  return answer.body[0]?.count ?? 0;
}
