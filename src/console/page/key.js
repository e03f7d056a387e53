import { byId } from "./element.js";

/** The key that was typed in, from where it is typed: it is kept nowhere else. */
export function heldKey() {
  return byId("key", HTMLInputElement).value.trim();
}

/**
 * Shows where a key is typed in, if anything here asks for one.
 * @param {readonly string[]} needsKeyFor
 * @param {() => void} used called when another key is to be used
 */
export function offerKey(needsKeyFor, used) {
  const form = byId("key-form", HTMLFormElement);
  form.hidden = needsKeyFor.length === 0;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    used();
  });
}
