/** @import { Answer } from "./ask.js" */
import { ask, problemShown } from "./ask.js";
import { byId, element } from "./element.js";
import { instant } from "./shown.js";
import { nothing } from "./table.js";
import { name } from "./totals.js";

/** @typedef {{username: string, firstSeen: string}} Account */

/**
 * @param {string} username
 * @returns {string}
 */
export function accountPath(username) {
  return `accounts/${encodeURIComponent(username)}`;
}

/** When a username was first seen. */
export function offerAccounts() {
  const form = byId("find-account", HTMLFormElement);
  const input = byId("account-username", HTMLInputElement);
  const place = byId("found-account", HTMLElement);
  const lookUp = async () => {
    const username = input.value;
    /** @type {Answer<Account>} */
    const answer = await ask(accountPath(username));
    if (answer.ok) {
      const since = instant(Date.parse(answer.body.firstSeen));
      place.replaceChildren(element("p", {}, name(answer.body.username), " was first seen ", since, "."));
    } else if (answer.problem.status === 404) {
      place.replaceChildren(nothing("No event of ", name(username), " is known."));
    } else {
      place.replaceChildren(problemShown(answer.problem));
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void lookUp();
  });
}
