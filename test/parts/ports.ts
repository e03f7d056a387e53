import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:net";

const LOWEST = 12_000;

/**
 * So many different ports of the loopback that nobody listens on. They lie below those that the kernel hands out by
 * itself: while a server is down, none of the connections that look for it can be given its port.
 */
export async function freePorts(count: number): Promise<readonly number[]> {
  const held: Server[] = [];
  try {
    while (held.length < count) held.push(await holdPort());
    return held.map(portOf);
  } finally {
    await Promise.all(held.map((server) => once(server.close(), "close")));
  }
}

/** Listens on a free port, until closed; does not keep this process alive. */
export async function holdPort(): Promise<Server> {
  for (let attempt = 1; ; attempt += 1) {
    const server = createServer((socket) => socket.destroy());
    server.unref().listen(LOWEST + Math.floor(Math.random() * (highest() - LOWEST)), "127.0.0.1");
    try {
      await once(server, "listening");
      return server;
    } catch (error) {
      if (attempt === 100) throw error;
    }
  }
}

export function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("it does not listen on a port");
  return address.port;
}

/** The lowest port that the kernel hands out by itself, 32768 unless somebody has set another. */
function highest(): number {
  const lowest = Number.parseInt(readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8"), 10);
  return lowest > LOWEST + 1000 ? Math.min(lowest, 60_000) : 32_768;
}
