import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createPrometheus } from "../../src/adapters/telemetry/prometheus.ts";
import { createAdmin } from "../../src/http/admin.ts";
import type { Emit } from "../../src/signals.ts";

export interface AdminPort extends AsyncDisposable {
  readonly port: number;
  readonly emit: Emit;
}

/** The admin server of a process of this role, on a loopback address; port 0 is any. */
export async function openAdmin(role: string, host = "127.0.0.1", port = 0): Promise<AdminPort> {
  const prometheus = createPrometheus({ version: "1", role, maxWaitSeconds: 30 });
  const admin = createAdmin({
    metrics: prometheus.metrics,
    checks: {},
    stop: new AbortController().signal,
    hosts: { host: "0.0.0.0", allowedHosts: [] },
  });
  await admin.listen({ host, port });
  const { port: taken } = admin.server.address() as AddressInfo;
  return { port: taken, emit: prometheus.emit, [Symbol.asyncDispose]: () => admin.close() };
}

export interface BarePort extends AsyncDisposable {
  readonly port: number;
  readonly server: Server;
}
/** An HTTP server that answers as it is told, on all loopback addresses. */
export async function openBare(listener: RequestListener): Promise<BarePort> {
  const server = createServer(listener).listen(0, "0.0.0.0");
  await once(server, "listening");
  return {
    server,
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

/** A port at which nothing listens. */
export async function deadPort(): Promise<number> {
  await using bare = await openBare(() => {});
  return bare.port;
}
