/** @import { Problem } from "./ask.js" */
/** @import { ConsoleSetup } from "../snapshot.ts" */
import { post, problemShown } from "./ask.js";
import { byId, element, say } from "./element.js";
import { followEvent, seenBefore } from "./event-path.js";
import { span } from "./shown.js";

const fields = /** @type {const} */ (["username", "metric", "count"]);

/**
 * The form that sends one event and then shows how it comes into each view.
 * @param {ConsoleSetup} setup
 */
export function offerSending({ canSend }) {
  const form = byId("event", HTMLFormElement);
  const button = form.querySelector("button");
  const steps = byId("steps", HTMLElement);
  const sent = byId("sent", HTMLElement);
  form.hidden = !canSend;
  byId("cannot-send", HTMLElement).hidden = canSend;
  let turn = 0;

  const send = async () => {
    turn += 1;
    const mine = turn;
    const sentEvent = {
      username: byId("event-username", HTMLInputElement).value,
      metric: byId("event-metric", HTMLInputElement).value,
      count: countOf(byId("event-count", HTMLInputElement).value),
      id: newId(),
    };
    showFaults([]);
    steps.replaceChildren();
    steps.hidden = false;
    if (button !== null) button.disabled = true;
    const accepted = addStep(steps, "accepted by the collector");
    const before = await seenBefore(sentEvent);
    const startedMs = performance.now();
    const answer = await post("console/event", sentEvent);
    if (button !== null) button.disabled = false;
    if (!answer.ok) {
      accepted.fail(answer.problem);
      say(sent, `Not accepted: ${answer.problem.title}`);
      showFaults(answer.problem.errors ?? []);
      return;
    }
    accepted.done(`durable, ${span((performance.now() - startedMs) / 1000)}`);
    const views = [
      { view: /** @type {const} */ ("accountName"), step: addStep(steps, "account name stored") },
      { view: /** @type {const} */ ("distinctName"), step: addStep(steps, "distinct name counted") },
      { view: /** @type {const} */ ("hourlyLog"), step: addStep(steps, "hourly log counted") },
    ];
    const seen = await Promise.all(
      views.map(async ({ view, step }) => {
        const found = await followEvent(view, sentEvent, before, () => mine === turn);
        if (found.ok) step.done(`${span((performance.now() - startedMs) / 1000)}; ${found.words}`);
        else step.fail(found.problem);
        return found.ok;
      }),
    );
    if (mine !== turn) return;
    const all = seen.every(Boolean);
    say(
      sent,
      all
        ? "The event is accepted and counted in every view."
        : "The event is accepted, and not seen in every view.",
    );
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void send();
  });
}

/**
 * Text that is no number is sent as it is: what is wrong with it is for the collector to say.
 * @param {string} text
 * @returns {number | string}
 */
function countOf(text) {
  const number = Number(text);
  return text.trim() === "" || Number.isNaN(number) ? text : number;
}

/** @returns {string} also where the page does not come over TLS, so that there is no crypto.randomUUID */
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `console-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/**
 * Shows each fault beside its field, and goes to the first.
 * @param {readonly {pointer: string, detail: string}[]} faults
 */
function showFaults(faults) {
  let first = true;
  for (const field of fields) {
    const input = byId(`event-${field}`, HTMLInputElement);
    const fault = faults.find(({ pointer }) => pointer === `/${field}`);
    say(byId(`event-${field}-fault`, HTMLElement), fault?.detail ?? "");
    if (fault === undefined) {
      input.removeAttribute("aria-invalid");
      continue;
    }
    input.setAttribute("aria-invalid", "true");
    if (first) input.focus();
    first = false;
  }
}

/**
 * @param {HTMLElement} steps
 * @param {string} words
 */
function addStep(steps, words) {
  const result = element("span", { class: "result" }, "…");
  const step = element("li", { "data-state": "waiting" }, `${words} `, result);
  steps.append(step);
  return {
    /** @param {string} text */
    done(text) {
      step.dataset["state"] = "done";
      result.textContent = text;
    },
    /** @param {Problem} problem */
    fail(problem) {
      step.dataset["state"] = "failed";
      result.replaceChildren(problemShown(problem));
    },
  };
}
