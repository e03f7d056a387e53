import { once } from "node:events";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { startStandalone } from "../flow/standalone.ts";
import { event, good } from "./requests.ts";

test.each([
  ["that has sent nothing", Buffer.alloc(0)],
  ["that has sent half of a request's headers", event(good).subarray(0, 40)],
  ["that has been answered and waits", event(good)],
])("a connection %s does not keep the process from its end", async (_, sent) => {
  await using millrace = await startStandalone();
  const socket = connect(Number(new URL(millrace.collectorUrl).port), "127.0.0.1");
  await once(socket, "connect");
  socket.write(sent);
  if (sent.length > 40) await once(socket, "data");
  // The connection is known to the server once a later one has been answered.
  expect((await fetch(`${millrace.collectorUrl}/debug/vars`)).status).toBe(200);
  const ended = once(socket.resume(), "close");
  const startedAtMs = Date.now();
  expect(await millrace.kill("SIGTERM")).toEqual({ code: 0, signal: null });
  expect(Date.now() - startedAtMs).toBeLessThan(5000);
  await ended;
});
