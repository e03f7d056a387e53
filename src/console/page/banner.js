import { byId, element, say } from "./element.js";

/** Between two announcements to a screen reader there is at least this. */
const QUIET_MS = 10_000;

/** @typedef {{level: "bad" | "warning" | "good" | "unknown", key: string, words: string}} Told */

/** Shows what is wrong, the worst at once and the rest on demand, and announces it when it becomes another thing. */
export class Banner {
  #banner = byId("banner", HTMLElement);
  #worst = byId("worst", HTMLElement);
  #more = byId("more-faults", HTMLDetailsElement);
  #announcement = byId("announcement", HTMLElement);
  #announcedKey = "";
  #announcedMs = 0;

  /** @param {readonly [Told, ...Told[]]} told the worst first */
  show([worst, ...rest]) {
    this.#banner.dataset["level"] = worst.level;
    say(this.#worst, worst.words);
    this.#showRest(rest);
    if (worst.key === this.#announcedKey || Date.now() - this.#announcedMs < QUIET_MS) return;
    this.#announcedKey = worst.key;
    this.#announcedMs = Date.now();
    say(this.#announcement, worst.words);
  }

  /** @param {readonly Told[]} rest */
  #showRest(rest) {
    this.#more.hidden = rest.length === 0;
    const [summary, list] = this.#more.children;
    if (summary === undefined || list === undefined) return;
    say(summary, `and ${rest.length} more`);
    const items = rest.map(({ level, words }) => element("li", { "data-level": level }, words));
    if (items.map((item) => item.textContent).join("\n") === list.getAttribute("data-shown")) return;
    list.setAttribute("data-shown", items.map((item) => item.textContent).join("\n"));
    list.replaceChildren(...items);
  }
}
