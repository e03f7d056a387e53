/** @import { ConsoleSetup, DeadLetterRow, Snapshot } from "../snapshot.ts" */
/** @import { Answer } from "./ask.js" */
import { ask, post, problemShown } from "./ask.js";
import { byId, element, say } from "./element.js";
import { queueNamed, queues } from "./queues.js";
import { counted, instant, whole } from "./shown.js";
import { makeTable, nothing } from "./table.js";

const ROWS = 100;
/** The list is not read anew by itself sooner than this. */
const RELOAD_MS = 3000;

/** @typedef {{rows: readonly DeadLetterRow[], more: boolean}} Page */

/** The dead letters, to be looked at and replayed. */
export class Letters {
  #place = byId("letters", HTMLElement);
  #queue = byId("dead-letter-queue", HTMLSelectElement);
  #replay = byId("replay", HTMLButtonElement);
  #told = byId("replayed", HTMLElement);
  #confirm = byId("confirm", HTMLDialogElement);
  #all = element("input", { type: "checkbox", "aria-label": "Select all that are listed" });
  #table = makeTable("Dead letters", ["", "Queue", "Reason", "#Attempts", "Dead since", "Body"]);
  /** @type {readonly DeadLetterRow[]} */
  #rows = [];
  #selected = new Set();
  /** @type {number | undefined} letters in the list; undefined while it is read */
  #listed;
  #more = false;
  /** @type {number | undefined} another number of letters, which the last snapshot had */
  #otherNumber;
  #loading = false;
  #loadAgain = false;
  #loadedMs = 0;
  #canList = true;

  /** @param {ConsoleSetup} setup */
  constructor({ canReplay }) {
    this.#canList = canReplay;
    if (!canReplay) {
      this.#place.replaceChildren(
        nothing("This process does not reach the broker, so that it cannot list dead letters."),
      );
      byId("reload-letters", HTMLButtonElement).disabled = true;
      return;
    }
    this.#table.root.querySelector("th")?.append(this.#all);
    byId("reload-letters", HTMLButtonElement).addEventListener("click", () => void this.#load());
    this.#queue.addEventListener("change", () => void this.#load());
    this.#all.addEventListener("change", () => this.#selectAll(this.#all.checked));
    this.#replay.addEventListener("click", () => this.#ask());
    this.#confirm.addEventListener("close", () => {
      if (this.#confirm.returnValue === "replay") void this.#replaySelected();
    });
    void this.#load();
  }

  /**
   * Reads the list anew where it holds another number of letters than the queues do, twice in a row: while RabbitMQ
   * lends letters to a reader, it counts fewer.
   * @param {Snapshot} snapshot
   */
  show(snapshot) {
    const chosen = queues.filter(({ name }) => this.#queue.value === "" || this.#queue.value === name);
    const numbers = chosen.map(({ name }) => snapshot.queues[name].deadLetters);
    if (this.#listed === undefined || numbers.includes(null)) return;
    const number = numbers.reduce((/** @type {number} */ sum, one) => sum + (one ?? 0), 0);
    const same = number === this.#listed || (this.#more && number > this.#listed);
    const again = !same && number === this.#otherNumber;
    this.#otherNumber = same ? undefined : number;
    if (again && Date.now() - this.#loadedMs > RELOAD_MS) void this.#load();
  }

  /** Reads the list anew, if there is one: with another key it may be answered. */
  reload() {
    if (this.#canList) void this.#load();
  }

  /** One at a time: the server lists for one reader alone. */
  async #load() {
    if (this.#loading) {
      this.#loadAgain = true;
      return;
    }
    this.#loading = true;
    do {
      this.#loadAgain = false;
      this.#listed = undefined;
      await this.#read();
    } while (this.#loadAgain);
    this.#loadedMs = Date.now();
    this.#loading = false;
  }

  async #read() {
    const wanted = new URLSearchParams({ limit: String(ROWS) });
    if (this.#queue.value !== "") wanted.set("queue", this.#queue.value);
    /** @type {Answer<Page>} */
    const answer = await ask(`dead-letters?${wanted}`);
    if (!answer.ok) {
      this.#rows = [];
      // Another reader has them in hand, or the broker is away: the next snapshots have it tried again.
      this.#listed = -1;
      this.#more = false;
      this.#place.replaceChildren(problemShown(answer.problem));
      this.#selectionChanged();
      return;
    }
    const { rows, more } = answer.body;
    this.#rows = rows;
    this.#listed = rows.length;
    this.#more = more;
    const there = new Set(rows.map(keyOf));
    for (const key of this.#selected) if (!there.has(key)) this.#selected.delete(key);
    if (rows.length === 0) {
      const where = this.#queue.value === "" ? "" : ` in the queue ${this.#queue.value}`;
      this.#place.replaceChildren(nothing(`No dead letters${where}: every message could be processed.`));
    } else {
      this.#fill(rows);
      const rest = more
        ? [
            nothing(
              `The first ${whole(rows.length)} are listed; the command millrace dead-letters lists all.`,
            ),
          ]
        : [];
      this.#place.replaceChildren(this.#table.root, ...rest);
    }
    this.#selectionChanged();
  }

  /** @param {readonly DeadLetterRow[]} rows */
  #fill(rows) {
    const focused = document.activeElement?.getAttribute("data-key");
    const open = new Set(
      Array.from(this.#table.root.querySelectorAll("details[open]"), (details) =>
        details.getAttribute("data-key"),
      ),
    );
    this.#table.fill(
      rows.map((row) => {
        const key = keyOf(row);
        const label = `Select the letter of ${row.queue}: ${row.reason}`;
        const box = element("input", { type: "checkbox", "aria-label": label, "data-key": key });
        box.checked = this.#selected.has(key);
        box.addEventListener("change", () => {
          if (box.checked) this.#selected.add(key);
          else this.#selected.delete(key);
          this.#selectionChanged();
        });
        const body = element(
          "details",
          { "data-key": key, open: open.has(key) },
          element("summary", {}, row.contentType === "" ? "no content type" : row.contentType),
          element("pre", { dir: "auto" }, row.body),
        );
        const reason = element("span", { class: "name long" }, row.reason);
        return [box, row.queue, reason, whole(row.attempts), instant(Date.parse(row.deadAt)), body];
      }),
    );
    for (const box of this.#table.root.querySelectorAll("input[data-key]"))
      if (box instanceof HTMLElement && box.getAttribute("data-key") === focused) box.focus();
  }

  /** @param {boolean} all */
  #selectAll(all) {
    this.#selected = new Set(all ? this.#rows.map(keyOf) : []);
    for (const box of this.#table.root.querySelectorAll("input[data-key]"))
      if (box instanceof HTMLInputElement) box.checked = all;
    this.#selectionChanged();
  }

  #selectionChanged() {
    const number = this.#selected.size;
    this.#replay.disabled = number === 0;
    say(this.#replay, number === 0 ? "Replay selected" : `Replay ${whole(number)} selected`);
    this.#all.checked = number > 0 && number === this.#rows.length;
    this.#all.indeterminate = number > 0 && number < this.#rows.length;
  }

  #ask() {
    const number = this.#selected.size;
    const words = `${counted(number, "message")} will be put back into the queue. What cannot be processed still becomes a dead letter again.`;
    say(byId("confirm-text", HTMLElement), words);
    this.#confirm.returnValue = "";
    this.#confirm.showModal();
  }

  async #replaySelected() {
    const chosen = this.#rows.filter((row) => this.#selected.has(keyOf(row)));
    const byQueue = Map.groupBy(chosen, ({ queue }) => queueNamed(queue));
    this.#replay.disabled = true;
    const told = [];
    for (const [queue, letters] of byQueue) {
      const ids = letters.map(({ id }) => id);
      /** @type {Answer<{replayed: number}>} */
      const answer = await post("dead-letters/replay", { queue, ids });
      if (answer.ok)
        told.push(
          element(
            "p",
            {},
            `${queue}: ${answer.body.replayed} of ${counted(ids.length, "message")} replayed.`,
          ),
        );
      else
        told.push(
          element("p", {}, `${queue}: nothing is known to be replayed.`),
          problemShown(answer.problem),
        );
    }
    this.#selected.clear();
    this.#told.replaceChildren(...told);
    // The button that had the focus is switched off.
    this.#told.focus();
    await this.#load();
  }
}

/**
 * @param {DeadLetterRow} row
 * @returns {string} an id is unique in its queue alone
 */
function keyOf({ queue, id }) {
  return `${queue} ${id}`;
}
