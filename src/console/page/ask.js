import { element } from "./element.js";
import { heldKey } from "./key.js";

/**
 * Problem details (RFC 9457) as Millrace answers them.
 * @typedef {object} Problem
 * @property {string} title
 * @property {number} status 0 where there was no answer
 * @property {string} [code]
 * @property {string} [detail]
 * @property {readonly {pointer: string, detail: string}[]} [errors]
 */
/**
 * @template Body
 * @typedef {{ok: true, body: Body, next: string | undefined} | {ok: false, problem: Problem}} Answer
 */

/** Longest wait for an answer. */
const ANSWER_MS = 15_000;

/**
 * Asks, with the key that is held, and never throws: what is wrong is answered as a problem.
 * @template Body
 * @param {string} path from where the page is
 * @param {RequestInit} [request]
 * @returns {Promise<Answer<Body>>}
 */
export async function ask(path, request = {}) {
  const headers = new Headers(request.headers);
  if (heldKey() !== "") headers.set("authorization", `Bearer ${heldKey()}`);
  try {
    const answer = await fetch(path, { ...request, headers, signal: AbortSignal.timeout(ANSWER_MS) });
    const text = await answer.text();
    const body = text === "" ? undefined : JSON.parse(text);
    if (answer.ok) return { ok: true, body, next: nextOf(answer) };
    return { ok: false, problem: { title: `Status ${answer.status}`, ...body, status: answer.status } };
  } catch (error) {
    const late = error instanceof DOMException && error.name === "TimeoutError";
    const title = late ? `No answer within ${ANSWER_MS / 1000} s` : "No answer that can be read";
    return { ok: false, problem: { title, status: 0, detail: String(error) } };
  }
}

/**
 * @template Body
 * @param {string} path
 * @param {unknown} body
 * @returns {Promise<Answer<Body>>}
 */
export function post(path, body) {
  const headers = { "content-type": "application/json" };
  return ask(path, { method: "POST", headers, body: JSON.stringify(body) });
}

/**
 * All rows, page by page; `more` tells that there are further ones.
 * @template Row
 * @param {string} path
 * @param {number} maxPages
 * @returns {Promise<{ok: true, rows: readonly Row[], more: boolean} | {ok: false, problem: Problem}>}
 */
export async function askAll(path, maxPages) {
  /** @type {Row[]} */
  const rows = [];
  /** @type {string | undefined} */
  let next = path;
  for (let page = 0; page < maxPages && next !== undefined; page += 1) {
    /** @type {Answer<Row[]>} */
    const answer = await ask(next);
    if (!answer.ok) return answer;
    rows.push(...answer.body);
    next = answer.next;
  }
  return { ok: true, rows, more: next !== undefined };
}

/**
 * @param {Response} answer
 * @returns {string | undefined}
 */
function nextOf(answer) {
  const link = /<([^>]+)>;\s*rel="next"/.exec(answer.headers.get("link") ?? "")?.[1];
  // From where the page is, as all paths here are.
  return link?.replace(/^\//, "");
}

/**
 * A problem in words.
 * @param {Problem} problem
 * @returns {HTMLElement}
 */
export function problemShown({ title, status, code, detail, errors = [] }) {
  const facts = [code, status === 0 ? undefined : `status ${status}`].filter((fact) => fact !== undefined);
  const words = detail === undefined ? title : `${title}: ${detail}`;
  const faults =
    errors.length < 2 ? [] : [element("ul", {}, ...errors.map((fault) => element("li", {}, fault.detail)))];
  return element(
    "div",
    { class: "problem" },
    element("p", {}, errors.length < 2 ? words : title),
    ...faults,
    element("p", { class: "quiet" }, facts.join(", ")),
  );
}
