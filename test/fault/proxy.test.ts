import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Proxy, startProxy } from "./proxy.ts";

/** One end of a connection, and what has come out of it. */
interface End {
  readonly socket: Socket;
  text: string;
  /** "end" is a FIN, "reset" an error, and undefined neither of them yet. */
  ending: "end" | "reset" | undefined;
}

const watched = (socket: Socket): End => {
  const end: End = { socket, text: "", ending: undefined };
  socket.setEncoding("utf8").on("data", (text: string) => (end.text += text));
  socket.once("end", () => (end.ending ??= "end"));
  socket.once("error", () => (end.ending = "reset"));
  return end;
};
const eventually = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 5000, interval: 5 });
/** Long enough for bytes on this machine to arrive, had they been let through. */
const QUIET_MS = 100;

let proxy: Proxy;
let accepted: End[];
let parts: AsyncDisposableStack;
beforeEach(async () => {
  parts = new AsyncDisposableStack();
  accepted = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => accepted.push(watched(socket)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  parts.defer(() => void server.close());
  proxy = parts.use(await startProxy((server.address() as AddressInfo).port));
});
afterEach(() => parts.disposeAsync());

const dial = async (): Promise<End> => {
  const socket = connect({ port: proxy.port, host: "127.0.0.1", allowHalfOpen: true });
  parts.defer(() => void socket.destroy());
  await once(socket, "connect");
  return watched(socket);
};
/** Both ends of a connection through the proxy. */
const dialThrough = async (): Promise<{ readonly near: End; readonly far: End }> => {
  const before = accepted.length;
  const near = await dial();
  await eventually(() => expect(accepted.length).toBe(before + 1));
  const far = accepted[before];
  if (far === undefined) throw new Error("nobody was dialled");
  return { near, far };
};

describe("a proxy that flows", () => {
  test("passes bytes both ways, and each side's end on its own", async () => {
    const { near, far } = await dialThrough();
    near.socket.end("question");
    await eventually(() => expect(far).toMatchObject({ text: "question", ending: "end" }));
    expect(near.ending).toBeUndefined();
    far.socket.end("answer");
    await eventually(() => expect(near).toMatchObject({ text: "answer", ending: "end" }));
    await eventually(() => expect(proxy.connections).toBe(0));
  });

  test("passes much more than any buffer holds to a reader that is slow", async () => {
    const { near, far } = await dialThrough();
    near.socket.write("x".repeat(8 * 1024 * 1024));
    far.socket.pause();
    await sleep(QUIET_MS);
    expect(far.text.length).toBeLessThan(8 * 1024 * 1024);
    far.socket.resume();
    await eventually(() => expect(far.text.length).toBe(8 * 1024 * 1024));
  });

  test("passes a reset on", async () => {
    const { near, far } = await dialThrough();
    near.socket.resetAndDestroy();
    await eventually(() => expect(far.ending).toBe("reset"));
    expect(proxy.connections).toBe(0);
  });

  test("resets who connects while nobody listens at the other end", async () => {
    const closed = createServer().listen(0, "127.0.0.1");
    await once(closed, "listening");
    const { port } = closed.address() as AddressInfo;
    await once(closed.close(), "close");
    await using astray = await startProxy(port);
    const end = watched(connect(astray.port, "127.0.0.1"));
    await eventually(() => expect(end.ending).toBe("reset"));
    expect(astray.connections).toBe(0);
  });
});

test("a cut resets both sides of every connection, and new ones pass", async () => {
  const broken = [await dialThrough(), await dialThrough()];
  expect(proxy.cut()).toBe(2);
  await eventually(() => {
    for (const { near, far } of broken) expect([near.ending, far.ending]).toEqual(["reset", "reset"]);
  });
  const { near, far } = await dialThrough();
  near.socket.write("again");
  await eventually(() => expect(far.text).toBe("again"));
});

test("a proxy that refuses resets new connections until it flows, and keeps those that are open", async () => {
  const open = await dialThrough();
  proxy.refuse();
  const refused = watched(connect(proxy.port, "127.0.0.1"));
  await eventually(() => expect(refused.ending).toBe("reset"));
  open.near.socket.write("still here");
  await eventually(() => expect(open.far.text).toBe("still here"));
  proxy.flow();
  const { near, far } = await dialThrough();
  near.socket.write("in again");
  await eventually(() => expect(far.text).toBe("in again"));
});

describe("a stall", () => {
  test("holds back bytes and ends in both directions until it flows, and closes nothing", async () => {
    const { near, far } = await dialThrough();
    proxy.stall();
    near.socket.end("question");
    far.socket.write("answer");
    await sleep(QUIET_MS);
    expect([near.text, near.ending, far.text, far.ending]).toEqual(["", undefined, "", undefined]);
    expect(proxy.connections).toBe(1);
    proxy.flow();
    await eventually(() => expect(far).toMatchObject({ text: "question", ending: "end" }));
    await eventually(() => expect(near).toMatchObject({ text: "answer", ending: undefined }));
  });

  test("accepts new connections, which pass once it flows", async () => {
    proxy.stall();
    const near = await dial();
    near.socket.write("patience");
    await sleep(QUIET_MS);
    expect(accepted).toEqual([]);
    proxy.flow();
    await eventually(() => expect(accepted[0]?.text).toBe("patience"));
  });

  test("may be cut", async () => {
    const { near, far } = await dialThrough();
    proxy.stall();
    expect(proxy.cut()).toBe(1);
    await eventually(() => expect([near.ending, far.ending]).toEqual(["reset", "reset"]));
    proxy.flow();
    expect(proxy.connections).toBe(0);
  });
});

describe("a half-close", () => {
  test.for([
    ["near", "far"],
    ["far", "near"],
  ] as const)("ends the %s side; the %s side stays open and silent", async ([side, otherSide]) => {
    const ends = await dialThrough();
    const { [side]: told, [otherSide]: other } = ends;
    expect(proxy.halfClose(side)).toBe(1);
    await eventually(() => expect(told.ending).toBe("end"));
    told.socket.end("into the void");
    other.socket.write("hello?");
    await eventually(() => expect(told.socket.destroyed).toBe(true));
    await sleep(QUIET_MS);
    expect(other).toMatchObject({ text: "", ending: undefined });
    expect(other.socket.destroyed).toBe(false);
    expect(told.text).toBe("");
    expect(proxy.connections).toBe(0);
    // Only its own end ends it.
    other.socket.end();
    await eventually(() => expect(other.ending).toBe("end"));
  });

  test("leaves new connections alone", async () => {
    await dialThrough();
    proxy.halfClose("near");
    const { near, far } = await dialThrough();
    near.socket.write("hello");
    await eventually(() => expect(far.text).toBe("hello"));
    expect(proxy.connections).toBe(1);
  });

  test("may come during a stall, and flows no more after it", async () => {
    const { near, far } = await dialThrough();
    proxy.stall();
    near.socket.write("lost");
    proxy.halfClose("near");
    await eventually(() => expect(near.ending).toBe("end"));
    proxy.flow();
    near.socket.write("lost, too");
    await sleep(QUIET_MS);
    expect(far).toMatchObject({ text: "", ending: undefined });
  });
});
