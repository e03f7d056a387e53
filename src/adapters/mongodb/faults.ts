import { MongoBulkWriteError, MongoError, MongoNetworkError } from "mongodb";
import { MillraceError } from "../../errors.ts";

/**
 * What a failure means for the write it met.
 * - there: a document of that id exists.
 * - passing: gone at the next try, such as a deadlock.
 * - unavailable: the store's own, and not over at once.
 * - refused: these bytes are never taken, if the store is well.
 * - unknown: the write's or the store's; a probe tells.
 */
export interface Fault {
  readonly kind: "there" | "passing" | "unavailable" | "refused" | "unknown";
  /** What the caller is told, should it come to that. */
  readonly error: MillraceError;
}

/** Numbers of the server's error_codes.yml; FerretDB uses the same. */
const DUPLICATE_KEY = 11000;
const passingCodes: ReadonlySet<number> = new Set([
  24, 43, 46, 63, 112, 117, 134, 150, 237, 239, 246, 251, 365, 462, 11601, 13388,
]);
const unavailableCodes: ReadonlySet<number> = new Set([
  6, 7, 13, 18, 50, 64, 79, 89, 91, 100, 133, 146, 189, 202, 262, 391, 9001, 10058, 10107, 11600, 11602,
  13435, 13436, 14031,
]);
const refusedCodes: ReadonlySet<number> = new Set([
  2, 9, 14, 22, 28, 52, 53, 54, 57, 121, 10334, 17280, 17419, 17420,
]);
/** Of PostgreSQL, by way of FerretDB and as its code 1. Two upserts of one key, one of which comes too late, are among them. */
const passingWords =
  /deadlock detected|could not serialize|lock timeout|duplicate key value violates unique constraint|tuple concurrently/i;
const refusedWords = /index row (size|requires)|exceeds (btree|maximum)|larger than the maximum size/i;
const unavailableWords =
  /the database system is|terminating connection|too many clients|failed to connect|connection refused|no space left/i;
/** Errors of the driver about its connections; those of the network, also where they come wrapped up. */
const unavailableNames =
  /^Mongo(Network|NetworkTimeout|ServerSelection|OperationTimeout|NotConnected|TopologyClosed|ClientClosed|ServerClosed|PoolCleared|PoolClosed|WaitQueueTimeout|ExpiredSession|StalePrimary|WriteConcern|CursorExhausted|UnexpectedServerResponse|MissingCredentials|Decompression)Error$/;
const passingLabels = ["TransientTransactionError", "SystemOverloadedError", "RetryableError"];
const refusedNames = /^(MongoInvalidArgumentError|BSON\w*Error|RangeError)$/;

/** Anything thrown by an operation, judged. Nothing of the driver's own objects is kept: they hold documents and settings. */
export function faultOf(thrown: unknown): Fault {
  if (thrown instanceof MillraceError) {
    return { kind: thrown.code === "STORE_UNAVAILABLE" ? "unavailable" : "refused", error: thrown };
  }
  const kind = kindOf(thrown);
  return { kind, error: new MillraceError(codes[kind], wordsOf(thrown)) };
}

const codes = {
  there: "STORE_UNAVAILABLE",
  passing: "STORE_UNAVAILABLE",
  unavailable: "STORE_UNAVAILABLE",
  refused: "CHANGE_REFUSED",
  unknown: "INTERNAL",
} as const;

/** An error of node's own, which the driver lets through where a socket ends as it is written to. */
const isOfTheNetwork = (error: Error): boolean => "syscall" in error;

function kindOf(thrown: unknown): Fault["kind"] {
  if (!(thrown instanceof Error)) return "unknown";
  // A command that failed as a whole comes as the bulk's error, with the real one inside it.
  if (thrown instanceof MongoBulkWriteError && (thrown.errorResponse as unknown) instanceof Error) {
    return kindOf(thrown.errorResponse);
  }
  if (thrown instanceof MongoBulkWriteError && thrown.result.getWriteConcernError() !== undefined) {
    return "unavailable";
  }
  if (thrown instanceof MongoNetworkError || isOfTheNetwork(thrown)) return "unavailable";
  if (unavailableNames.test(thrown.name)) return "unavailable";
  if (refusedNames.test(thrown.name)) return "refused";
  if (!(thrown instanceof MongoError)) return "unknown";
  const code = Number(thrown.code);
  if (code === DUPLICATE_KEY) return "there";
  if (passingCodes.has(code) || passingWords.test(thrown.message)) return "passing";
  if (passingLabels.some((label) => thrown.hasErrorLabel(label))) return "passing";
  if (unavailableCodes.has(code) || thrown.hasErrorLabel("RetryableWriteError")) return "unavailable";
  if (unavailableWords.test(thrown.message)) return "unavailable";
  if (refusedCodes.has(code) || refusedWords.test(thrown.message)) return "refused";
  return "unknown";
}

/**
 * What was wrong with which write of a bulk, by its index; undefined where the command failed as a whole, which is also so
 * where its writes are not known to last.
 */
export function writeFaultsOf(thrown: unknown): ReadonlyMap<number, Fault> | undefined {
  if (!(thrown instanceof MongoBulkWriteError) || (thrown.errorResponse as unknown) instanceof Error)
    return undefined;
  if (thrown.result.getWriteConcernError() !== undefined) return undefined;
  const errors = Array.isArray(thrown.writeErrors) ? thrown.writeErrors : [thrown.writeErrors];
  if (errors.length === 0) return undefined;
  return new Map(
    errors.map((one) => {
      const error = new MongoError(one.errmsg ?? "the write failed");
      error.code = one.code;
      return [one.index, faultOf(error)];
    }),
  );
}

/** Returns where every write of a bulk that was refused met a document of its id; throws what else there is. */
export function assertOnlyThere(thrown: unknown): void {
  const faults = writeFaultsOf(thrown);
  if (faults === undefined) throw thrown;
  for (const { kind, error } of faults.values()) {
    if (kind !== "there") throw kind === "passing" ? thrown : error;
  }
}

/** The error's name, code and words, without a URL's password. */
export function wordsOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const code: unknown = "code" in thrown ? thrown.code : undefined;
  const words = thrown.message.replaceAll(/(mongodb(?:\+srv)?:\/\/)\S*@/g, "$1***@").slice(0, 500);
  return `${thrown.name}${typeof code === "number" || typeof code === "string" ? ` ${code}` : ""}: ${words}`;
}

export const mismatch = (detail: string): MillraceError => new MillraceError("STORE_MISMATCH", detail);
