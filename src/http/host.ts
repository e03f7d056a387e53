import { isIP } from "node:net";
import type { FastifyInstance } from "fastify";
import { MillraceError } from "../errors.ts";
import { sendProblem } from "./problem.ts";

export interface HostRules {
  /** Address that the server listens on. */
  readonly host: string;
  /** Names that requests may have in their Host header beside `localhost`. */
  readonly allowedHosts: readonly string[];
}

/**
 * Refuses requests that name a host which is not one of ours. A page of another site can make its own name lead to an address of this
 * machine (DNS rebinding), and a browser then takes our answers for that site's; but it tells the name in the Host header.
 */
export function refuseOtherHosts(server: FastifyInstance, rules: HostRules): void {
  const isOurs = hostCheck(rules);
  if (isOurs === undefined) return;
  server.addHook("onRequest", (request, reply, done) => {
    const { host } = request.raw.headers;
    if (isOurs(host)) return done();
    const name = JSON.stringify((host ?? "").slice(0, 256));
    void sendProblem(reply, new MillraceError("HOST_REFUSED", `${name} is not a name of this server`));
  });
}

/** Undefined where any name will do: beyond the loopback a server cannot know what it is called, unless it is told. */
function hostCheck({ host, allowedHosts }: HostRules): ((header: string | undefined) => boolean) | undefined {
  if (allowedHosts.includes("*") || (allowedHosts.length === 0 && !isLoopback(host))) return undefined;
  const names = new Set(["localhost", ...allowedHosts.map((name) => name.toLowerCase())]);
  return (header) => {
    // HTTP/1.0 may leave it out, and no browser speaks that.
    if (header === undefined) return true;
    const { name, address } = partsOf(header);
    // A page that a browser found by an address was sent from that address: there was no name to lead astray.
    return name === undefined ? isIP(address) === 6 : names.has(name) || isIP(name) === 4;
  };
}

const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || /^127\.[\d.]+$/.test(host);

/** Without the port; an address of IPv6 is what is in brackets, and all else a name. */
function partsOf(header: string): { readonly name: string | undefined; readonly address: string } {
  const [, address = "", name] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(header.toLowerCase()) ?? [];
  return { address, name: name?.replace(/\.$/, "") };
}
