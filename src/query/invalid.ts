import { type Fault, MillraceError } from "../errors.ts";

/** The error of parameters that a schema cannot judge; each fault's pointer names one. */
export function invalidQuery(faults: readonly Fault[]): MillraceError {
  return new MillraceError("INVALID_QUERY", faults.map((fault) => fault.detail).join("; "), { faults });
}
