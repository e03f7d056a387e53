import { lookup } from "node:dns/promises";
import { isIP } from "node:net";

/** Where processes of a role are: `role=host:port`. A host may have many addresses. */
export interface Source {
  readonly role: string;
  readonly host: string;
  readonly port: string;
}
/** A process that is to be read. */
export interface Place {
  readonly role: string;
  readonly host: string;
  /** With its port. */
  readonly address: string;
}
/** A source at which there is nothing to read, and why. */
export interface Absence extends Place {
  readonly fault: string;
}
/** All addresses of a host; rejects with an error of node:dns. */
export type Lookup = (host: string) => Promise<readonly string[]>;

/** As this machine resolves names. */
export const addressesOf: Lookup = async (host) =>
  (await lookup(host, { all: true })).map(({ address }) => address);

/** Age at which addresses are looked up again, in milliseconds. */
const LOOKUP_EVERY_MS = 3000;
/** Addresses of one host that are read; the rest are passed over, which a fault tells. */
const MAX_ADDRESSES = 200;

export function sourceOf(text: string): Source {
  const [role = "", at = ""] = text.split("=", 2);
  const colon = at.lastIndexOf(":");
  return { role, host: at.slice(0, colon), port: at.slice(colon + 1) };
}

/** The addresses of all sources, looked up in the background as time goes by. */
export class Addresses {
  readonly #entries: readonly Entry[];
  readonly #lookup: Lookup;

  constructor(sources: readonly Source[], look: Lookup) {
    this.#entries = sources.map((source) => ({
      source,
      addresses: [],
      fault: "its address is not known yet",
      dueAtMs: Number.NEGATIVE_INFINITY,
      pending: undefined,
    }));
    this.#lookup = look;
  }

  /** Begins what look-ups are due. Resolves once every source has been looked up at least once; a caller need not wait. */
  async refresh(nowMs: number): Promise<void> {
    await Promise.all(
      this.#entries.map(async (entry) => {
        if (entry.pending === undefined && nowMs >= entry.dueAtMs) {
          entry.pending = this.#look(entry).finally(() => {
            entry.pending = undefined;
            entry.dueAtMs = nowMs + LOOKUP_EVERY_MS;
          });
        }
        if (entry.dueAtMs === Number.NEGATIVE_INFINITY) await entry.pending;
      }),
    );
  }

  places(): readonly Place[] {
    return this.#entries.flatMap(({ source: { role, host, port }, addresses }) =>
      addresses.map((address) => ({ role, host, address: withPort(address, port) })),
    );
  }

  absences(): readonly Absence[] {
    return this.#entries.flatMap(({ source: { role, host, port }, fault }) =>
      fault === undefined ? [] : [{ role, host, address: `${host}:${port}`, fault }],
    );
  }

  async #look(entry: Entry): Promise<void> {
    const { role, host } = entry.source;
    try {
      const found = Array.from(new Set(await this.#lookup(host)));
      entry.addresses = found.slice(0, MAX_ADDRESSES);
      const left = found.length - entry.addresses.length;
      entry.fault = left > 0 ? `${left} more addresses of ${host} are not read` : undefined;
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code !== "ENOTFOUND") {
        // Those that were known may well be there still.
        if (entry.addresses.length === 0)
          entry.fault = `${host} cannot be looked up: ${String(code ?? error)}`;
        return;
      }
      entry.addresses = [];
      // An operator may have taken the last worker away.
      entry.fault = workers.has(role) ? undefined : `there is no process at ${host}, or no such name`;
    }
  }
}

interface Entry {
  readonly source: Source;
  addresses: readonly string[];
  fault: string | undefined;
  dueAtMs: number;
  pending: Promise<void> | undefined;
}

const workers: ReadonlySet<string> = new Set(["accountName", "distinctName", "hourlyLog"]);

const withPort = (address: string, port: string): string =>
  isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`;
