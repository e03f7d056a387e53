import { getHeapStatistics } from "node:v8";
import { MillraceError } from "./errors.ts";
import { type Config, variableOf } from "./settings.ts";

/** What the process is taken to need beside the requests in hand, and for each byte of theirs: estimates on the high side. */
const HEAP_AT_REST_BYTES = 64 * 1024 * 1024;
const HEAP_A_BYTE = 3;

/** @throws MillraceError INVALID_SETTING where the bound on requests in hand is not one that the heap can hold. */
export function checkHeap({ unconfirmedMaxBytes }: Pick<Config, "unconfirmedMaxBytes">): void {
  const wanted = HEAP_AT_REST_BYTES + HEAP_A_BYTE * unconfirmedMaxBytes;
  const limit = getHeapStatistics().heap_size_limit;
  if (wanted <= limit) return;
  throw new MillraceError(
    "INVALID_SETTING",
    `${variableOf("unconfirmedMaxBytes")} is ${unconfirmedMaxBytes}; node's heap of ${limit} bytes holds at most ` +
      `${Math.floor((limit - HEAP_AT_REST_BYTES) / HEAP_A_BYTE)}: lower it, or raise node's --max-old-space-size`,
  );
}
