import { heldKey } from "./key.js";

/**
 * Reads server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) until they end or `stop`. An EventSource
 * would do, if it could send a key.
 * @param {string} path from where the page is
 * @param {AbortSignal} stop
 * @param {{opened: () => void, event: (name: string, data: string) => void}} listener
 * @returns {Promise<"ended" | "refused">} refused for want of a key that does
 */
export async function readEvents(path, stop, listener) {
  const key = heldKey();
  /** @type {Record<string, string>} */
  const headers = { accept: "text/event-stream" };
  if (key !== "") headers["authorization"] = `Bearer ${key}`;
  try {
    const answer = await fetch(path, { headers, cache: "no-store", signal: stop });
    if (answer.status === 401 || answer.status === 403) return "refused";
    if (!answer.ok || answer.body === null) return "ended";
    listener.opened();
    let text = "";
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const blocks = `${text}${part.value}`.split("\n\n");
      text = blocks.pop() ?? "";
      for (const block of blocks) tell(block, listener.event);
    }
  } catch {
    // It is opened again, whatever has ended it.
  }
  return "ended";
}

/**
 * @param {string} block
 * @param {(name: string, data: string) => void} event
 */
function tell(block, event) {
  const field = (/** @type {string} */ name) =>
    block
      .split("\n")
      .filter((line) => line.startsWith(`${name}: `))
      .map((line) => line.slice(name.length + 2))
      .join("\n");
  if (field("data") !== "") event(field("event"), field("data"));
}
