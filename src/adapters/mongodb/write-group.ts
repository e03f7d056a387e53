import { MillraceError } from "../../errors.ts";
import { type Fault, faultOf } from "./faults.ts";

/** One write of many that go in one command. */
export interface Write {
  /** What the writes of a command are sorted by: two commands in different orders may deadlock. */
  readonly key: string;
  readonly bytes: number;
}
/** What became of a write: done, done before, or the reason why not. */
export type Verdict = "written" | "there" | MillraceError;

export interface Bulk<W extends Write> {
  /** Sends all in one command. Resolves to what was wrong with which, by index; rejects where the command failed as a whole. */
  send(writes: readonly W[]): Promise<ReadonlyMap<number, Fault>>;
  /** Tries the store. Resolves to why it cannot write, or to undefined where it can. */
  outage(): Promise<MillraceError | undefined>;
  /** Waits before another try. */
  pause(tries: number): Promise<void>;
  /** Waits for more writes to come, before the first command after an idle time. */
  gather(): Promise<void>;
}

/** Tries of a command that meets a deadlock or the like. */
const TRIES = 8;
/** Bounds of one command. A write that is larger goes alone. */
const MAX_WRITES = 1000;
const MAX_BYTES = 4 * 1024 * 1024;

/**
 * Group commit: what arrives while a command is under way forms the next one. One command at a time, so that a journal's
 * flush serves as many as there are, and each write gets its own verdict.
 */
export class WriteGroup<W extends Write> {
  readonly #bulk: Bulk<W>;
  #waiting: { readonly write: W; readonly tell: (verdict: Verdict) => void }[] = [];
  #busy = false;

  constructor(bulk: Bulk<W>) {
    this.#bulk = bulk;
  }

  /** Resolves to the verdicts of these writes, in their order; never rejects. */
  write(writes: readonly W[]): Promise<readonly Verdict[]> {
    const verdicts = writes.map(
      (write) => new Promise<Verdict>((tell) => this.#waiting.push({ write, tell })),
    );
    if (!this.#busy) {
      this.#busy = true;
      void this.#bulk.gather().then(() => this.#run());
    }
    return Promise.all(verdicts);
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, sizeOf(this.#waiting.map(({ write }) => write)));
      const verdicts = await settle(this.#bulk, sorted(group.map(({ write }) => write)));
      for (const one of group) one.tell(verdicts.get(one.write) ?? lost);
    }
    this.#busy = false;
  }
}

const lost = new MillraceError("INTERNAL", "a write was left out of its group");

const sorted = <W extends Write>(writes: readonly W[]): readonly W[] =>
  writes.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));

/** How many of these writes, from the first, one command takes. */
export function sizeOf(writes: readonly Write[]): number {
  let bytes = 0;
  let size = 0;
  for (const write of writes) {
    bytes += write.bytes;
    if (size > 0 && (size >= MAX_WRITES || bytes > MAX_BYTES)) break;
    size += 1;
  }
  return size;
}

/**
 * Sends the writes until each has its verdict. A command that fails as a whole for a reason of its writes is halved until
 * the one at fault is alone, so that it takes no other down with it.
 */
export async function settle<W extends Write>(
  bulk: Bulk<W>,
  writes: readonly W[],
  tries = 1,
): Promise<ReadonlyMap<W, Verdict>> {
  try {
    const faults = await bulk.send(writes);
    return await settleEach(bulk, writes, faults, tries);
  } catch (thrown) {
    return settleFailed(bulk, writes, faultOf(thrown), tries);
  }
}

async function settleEach<W extends Write>(
  bulk: Bulk<W>,
  writes: readonly W[],
  faults: ReadonlyMap<number, Fault>,
  tries: number,
): Promise<ReadonlyMap<W, Verdict>> {
  const outage = Array.from(faults.values()).some(asksForProbe) ? await bulk.outage() : undefined;
  const verdicts = new Map<W, Verdict>();
  const again: W[] = [];
  let passing: Fault | undefined;
  for (const [index, write] of writes.entries()) {
    const fault = faults.get(index);
    if (fault === undefined) verdicts.set(write, "written");
    else if (fault.kind === "there") verdicts.set(write, "there");
    else if (fault.kind === "passing") {
      passing = fault;
      again.push(write);
    } else verdicts.set(write, asksForProbe(fault) ? (outage ?? fault.error) : fault.error);
  }
  if (passing === undefined) return verdicts;
  return new Map([...verdicts, ...(await settleFailed(bulk, again, passing, tries))]);
}

async function settleFailed<W extends Write>(
  bulk: Bulk<W>,
  writes: readonly W[],
  fault: Fault,
  tries: number,
): Promise<ReadonlyMap<W, Verdict>> {
  if (fault.kind === "passing" && tries < TRIES) {
    await bulk.pause(tries);
    return settle(bulk, writes, tries + 1);
  }
  const outage = asksForProbe(fault) ? await bulk.outage() : undefined;
  const error = outage ?? fault.error;
  if (writes.length === 1 || error.code === "STORE_UNAVAILABLE") {
    return new Map(writes.map((write) => [write, error]));
  }
  const half = writes.length >> 1;
  return new Map([
    ...(await settle(bulk, writes.slice(0, half))),
    ...(await settle(bulk, writes.slice(half))),
  ]);
}

/** A write is given up only while the store takes another: an unwell one gives any reason. */
const asksForProbe = ({ kind }: Fault): boolean => kind === "refused" || kind === "unknown";
