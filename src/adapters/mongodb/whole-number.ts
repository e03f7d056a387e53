import { MillraceError } from "../../errors.ts";

/**
 * A number that a database keeps as it is, with 0 for -0.
 * @throws MillraceError CHANGE_REFUSED for any that is no safe integer.
 */
export function wholeNumber(value: number, what: string): number {
  if (!Number.isSafeInteger(value)) {
    throw new MillraceError("CHANGE_REFUSED", `${what} is ${String(value)}, which is no safe integer`);
  }
  return value + 0;
}
