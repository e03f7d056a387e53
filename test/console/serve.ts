import type { AddressInfo } from "node:net";
import { type ConsoleParts, type ConsoleSettings, serveConsole } from "../../src/console/console.ts";
import { Processes } from "../../src/console/processes.ts";
import { type Read, readAdmin } from "../../src/console/reading.ts";
import { Addresses, type Lookup, sourceOf } from "../../src/console/sources.ts";
import { KeyRing } from "../../src/http/keys.ts";
import { createServer, describe } from "../../src/http/server.ts";
import type { SignalName } from "../../src/signals.ts";

export interface ServedConsole extends AsyncDisposable {
  readonly url: string;
  readonly connections: readonly { readonly writableLength: number }[];
  /** Routes of the requests that were counted. */
  readonly counted: string[];
  close(): Promise<void>;
}
export interface ConsoleOptions extends Partial<ConsoleParts>, Partial<ConsoleSettings> {
  readonly sources?: readonly string[];
  readonly lookup?: Lookup;
  /** Of the process itself. */
  readonly read?: Read;
}

/** The console in a server of its own, on any port, that answers no other question. */
export async function openConsole(options: ConsoleOptions = {}): Promise<ServedConsole> {
  const { sources = [], lookup = async (host: string) => [host], read, ...others } = options;
  const counted: string[] = [];
  const emit = (name: SignalName, fact: object): void => {
    if (name === "request.answered" && "route" in fact) counted.push(String(fact.route));
  };
  const server = createServer({ requestTimeoutMs: 5000, host: "127.0.0.1", allowedHosts: [] }, emit);
  await describe(server, { title: "Console", description: "Of a test.", keys: false });
  const place = { role: "standalone", host: "127.0.0.1", address: "127.0.0.1:9090" };
  const parts: ConsoleParts = {
    processes: new Processes({
      addresses: new Addresses(sources.map(sourceOf), lookup),
      readOf: ({ address, role }) => readAdmin(address, role),
      own: read === undefined ? undefined : { place, read },
    }),
    hasOperator: sources.some((source) => source.startsWith("operator=")),
    sendEvent: undefined,
    lendDeadLetters: undefined,
    emit,
    keys: new KeyRing({ writeKeyHashes: [], keysFile: "", keysRequiredFor: [] }, [], Date.now),
    ...others,
  };
  await serveConsole(server, parts, {
    version: "1.2.3",
    eventMaxBytes: 65_536,
    ...others,
  });
  const connections: { readonly writableLength: number }[] = [];
  server.server.on("connection", (socket) => connections.push(socket));
  await server.listen({ host: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${(server.server.address() as AddressInfo).port}`;
  const close = () => server.close();
  return { url, connections, counted, close, [Symbol.asyncDispose]: close };
}
