/** @import { DecisionLog, Snapshot } from "../snapshot.ts" */
import { timeOf } from "./shown.js";
import { readEvents } from "./stream.js";

/** Figures older than this are shown as old. */
const STALE_MS = 5000;
/** How soon a stream that has ended is opened again, and how soon one that was refused for want of a key. */
const AGAIN_MS = 2000;
const REFUSED_AGAIN_MS = 10_000;

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
 * @returns {() => void} opens the stream anew at once, such as with another key
 */
export function follow(listener) {
  let arrivedMs = 0;
  let isOpen = false;
  let isRefused = false;
  let attempt = new AbortController();
  const stream = {
    opened() {
      isOpen = true;
      isRefused = false;
    },
    /** @type {(name: string, data: string) => void} */
    event(name, data) {
      if (name === "history") listener.snapshots(JSON.parse(data));
      if (name === "decisions") listener.decisions(JSON.parse(data));
      if (name !== "snapshot") return;
      arrivedMs = Date.now();
      listener.snapshots([JSON.parse(data)]);
      tell();
    },
  };

  async function open() {
    attempt = new AbortController();
    const { signal } = attempt;
    const end = await readEvents("console/live", signal, stream);
    if (!signal.aborted) {
      isOpen = false;
      isRefused = end === "refused";
      tell();
      await pause(isRefused ? REFUSED_AGAIN_MS : AGAIN_MS, signal);
    }
    void open();
  }

  function tell() {
    listener.state(connectionOf(isOpen, arrivedMs, Date.now(), isRefused));
  }
  void open();
  setInterval(tell, 1000);
  return () => attempt.abort();
}

/**
 * @param {number} ms
 * @param {AbortSignal} signal ends it sooner
 * @returns {Promise<void>}
 */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/**
 * @param {boolean} isOpen
 * @param {number} arrivedMs when the last snapshot came, 0 before the first
 * @param {number} nowMs
 * @param {boolean} [isRefused] for want of a key that does
 * @returns {Connection}
 */
export function connectionOf(isOpen, arrivedMs, nowMs, isRefused = false) {
  if (isRefused) return { state: arrivedMs === 0 ? "connecting" : "stale", words: "key needed" };
  if (arrivedMs === 0) return { state: "connecting", words: "connecting" };
  if (nowMs - arrivedMs > STALE_MS) return { state: "stale", words: `stale since ${timeOf(arrivedMs)}` };
  return isOpen ? { state: "live", words: "live" } : { state: "reconnecting", words: "reconnecting" };
}
