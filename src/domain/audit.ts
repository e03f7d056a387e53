import { type ErrorCode, MillraceError } from "../errors.ts";

export type AuditAction =
  | "key.created"
  | "key.revoked"
  | "key.rotated"
  | "keys.listed"
  | "deadLetters.listed"
  | "deadLetters.shown"
  | "deadLetters.exported"
  | "deadLetters.replayed"
  | "deadLetters.dropped"
  | "user.erased";

/** Who did what, before it is known how it went. */
export interface Deed {
  /** `key NAME`, `user NAME` (of the machine, for a command), or `anyone` where no key was asked for. */
  readonly by: string;
  readonly action: AuditAction;
  /** Where it came from, or where the keys are kept; undefined for this machine. */
  readonly from: string | undefined;
}

/** A line of the audit log: never a key, nor a body. */
export interface Audit extends Deed {
  /** How many it was about, and the first of them: dead letters as `queue:id`, keys by name. */
  readonly count: number;
  readonly ids: readonly string[];
  /** Of those, how many were put back or deleted. */
  readonly settled: number | undefined;
  /** `failed`: an error was answered, so that it is not known how far it came. `refused`: the key does not allow it. */
  readonly outcome: "done" | "failed" | "refused";
  readonly code: ErrorCode | undefined;
}
export type RecordAudit = (audit: Audit) => void;

/** What a deed is found to be about while it is done. */
export interface About {
  readonly name: (id: string) => void;
  settled: number | undefined;
}

const IDS_TOLD = 10;
const ID_MAX = 128;

/** Does the work and records it, whether it succeeds or not. */
export async function audited<T>(
  record: RecordAudit,
  deed: Deed,
  work: (about: About) => Promise<T>,
): Promise<T> {
  const ids: string[] = [];
  let count = 0;
  const about: About = {
    name: (id) => {
      count += 1;
      if (ids.length < IDS_TOLD) ids.push(id.slice(0, ID_MAX).toWellFormed());
    },
    settled: undefined,
  };
  const tell = (outcome: Audit["outcome"], code?: ErrorCode): void =>
    record({ ...deed, count, ids, settled: about.settled, outcome, code });
  try {
    const result = await work(about);
    tell("done");
    return result;
  } catch (error) {
    tell("failed", error instanceof MillraceError ? error.code : "INTERNAL");
    throw error;
  }
}
