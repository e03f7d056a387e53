import type { Collection, OptionalUnlessRequiredId } from "mongodb";
import { setTimeout as sleep } from "node:timers/promises";
import { MillraceError } from "../../errors.ts";
import type { Connection } from "./connection.ts";
import { type Fault, writeFaultsOf } from "./faults.ts";
import type { Collections } from "./schema.ts";
import { type Verdict, type Write, WriteGroup } from "./write-group.ts";

/** A document to insert, which is there once however often it is. */
export interface Insert<Document> extends Write {
  readonly document: Document;
}

export function insertOf<Document extends { readonly _id: string }>(
  document: Document,
  bytes: number,
): Insert<Document> {
  const { _id: key } = document;
  return { key, bytes, document };
}

/** Inserts, many callers' in one command. */
export function insertsInto<Document extends { readonly _id: string }>(
  connection: Connection,
  pick: (collections: Collections) => Collection<Document>,
): WriteGroup<Insert<Document>> {
  return groupOf(connection, async (collections, inserts) => {
    // It is what the type asks for: these documents have their ids.
    const documents = inserts.map(({ document }) => document as OptionalUnlessRequiredId<Document>);
    await pick(collections).insertMany(documents, { ordered: false });
  });
}

/** Writes, many callers' in one command, which `send` makes of them. */
export function groupOf<W extends Write>(
  connection: Connection,
  send: (collections: Collections, writes: readonly W[]) => Promise<unknown>,
): WriteGroup<W> {
  return new WriteGroup<W>({
    send: async (writes) => {
      try {
        await connection.once((collections) => send(collections, writes));
        return noFaults;
      } catch (thrown) {
        const faults = writeFaultsOf(thrown);
        if (faults === undefined) throw thrown;
        return faults;
      }
    },
    outage: () => connection.outage(),
    pause: (tries) => connection.pause(tries),
    gather: () => sleep(GATHER_MS),
  });
}

/**
 * A view is later by this much, in milliseconds; nobody waits for it. Measured with some 240 messages a second on FerretDB: what
 * the store spends on an event falls to about half.
 */
const GATHER_MS = 10;

const noFaults: ReadonlyMap<number, Fault> = new Map();

/**
 * Returns if each write is in the store.
 * @throws MillraceError the one that asks for another try, if any does.
 */
export function assertThere(verdicts: readonly Verdict[]): void {
  const errors = verdicts.filter((verdict) => verdict instanceof MillraceError);
  const error = errors.find(({ code }) => code === "STORE_UNAVAILABLE") ?? errors[0];
  if (error !== undefined) throw error;
}
