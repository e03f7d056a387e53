/** @import { DecisionLog, Snapshot } from "../snapshot.ts" */
import { timeOf } from "./shown.js";

/** Figures older than this are shown as old. */
const STALE_MS = 5000;
/** EventSource gives up at an answer that is no stream, such as 503; this then tries again. */
const AGAIN_MS = 2000;

/**
 * @typedef {object} Listener
 * @property {(snapshots: readonly Snapshot[]) => void} snapshots
 * @property {(log: DecisionLog) => void} decisions
 * @property {(state: Connection) => void} state called each second
 */
/**
 * @typedef {object} Connection
 * @property {"connecting" | "live" | "reconnecting" | "stale"} state
 * @property {string} words
 */

/**
 * Follows the figures for as long as the page is open.
 * @param {Listener} listener
 */
export function follow(listener) {
  let arrivedMs = 0;
  let stream = open();

  /** @returns {EventSource} */
  function open() {
    const opened = new EventSource("console/live");
    /** @type {(name: string, take: (data: string) => void) => void} */
    const on = (name, take) =>
      opened.addEventListener(name, (event) => take(/** @type {MessageEvent<string>} */ (event).data));
    on("history", (data) => listener.snapshots(JSON.parse(data)));
    on("snapshot", (data) => {
      arrivedMs = Date.now();
      listener.snapshots([JSON.parse(data)]);
      tell();
    });
    on("decisions", (data) => listener.decisions(JSON.parse(data)));
    opened.addEventListener("error", () => {
      tell();
      if (opened.readyState === EventSource.CLOSED) setTimeout(() => (stream = open()), AGAIN_MS);
    });
    return opened;
  }

  function tell() {
    listener.state(connectionOf(stream.readyState === EventSource.OPEN, arrivedMs, Date.now()));
  }
  setInterval(tell, 1000);
}

/**
 * @param {boolean} isOpen
 * @param {number} arrivedMs when the last snapshot came, 0 before the first
 * @param {number} nowMs
 * @returns {Connection}
 */
export function connectionOf(isOpen, arrivedMs, nowMs) {
  if (arrivedMs === 0) return { state: "connecting", words: "connecting" };
  if (nowMs - arrivedMs > STALE_MS) return { state: "stale", words: `stale since ${timeOf(arrivedMs)}` };
  return isOpen ? { state: "live", words: "live" } : { state: "reconnecting", words: "reconnecting" };
}
