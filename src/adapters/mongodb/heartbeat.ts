import type { MongoClient } from "mongodb";

/** What the driver gives a heartbeat for which the server may keep it waiting, beyond the time-out; its own default. */
const AWAITED_MS = 10_000;
const MARGIN_MS = 1000;

/**
 * Tells when the driver's watch of a server has come to a standstill. In 7.9 one that writes to a socket which has just ended waits for
 * it to drain, for ever, and the server is out of reach for as long as the client lives.
 */
export function onHungHeartbeat(client: MongoClient, timeoutMs: number, hung: () => void): void {
  const timers = new Map<string, NodeJS.Timeout>();
  const settled = (address: string): void => {
    clearTimeout(timers.get(address));
    timers.delete(address);
  };
  client.on("serverHeartbeatStarted", ({ connectionId: address, awaited }) => {
    settled(address);
    timers.set(address, setTimeout(hung, timeoutMs + (awaited ? AWAITED_MS : 0) + MARGIN_MS).unref());
  });
  client.on("serverHeartbeatSucceeded", ({ connectionId }) => settled(connectionId));
  client.on("serverHeartbeatFailed", ({ connectionId }) => settled(connectionId));
  client.on("serverClosed", ({ address }) => settled(address));
  client.on("topologyClosed", () => {
    for (const address of timers.keys()) settled(address);
  });
}
