/** Below this a number is more likely seconds than milliseconds: it would be before March 1973. */
export const EARLIEST_NUMERIC_MS = 100_000_000_000;

/** The last millisecond of the year 9999: a later one has no `YYYY-MM-DD`. */
export const LATEST_MS = 253_402_300_799_999;

const rfc3339 =
  /^(\d{4})-(\d{2})-(\d{2})[Tt ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$/;

/** Milliseconds since 1970, or undefined where the text or number names no instant from then to the end of 9999. */
export function instantOf(value: string | number): number | undefined {
  if (typeof value === "number") {
    return value >= EARLIEST_NUMERIC_MS && value <= LATEST_MS ? value : undefined;
  }
  const parts = rfc3339.exec(value);
  if (parts === null || !isDay(Number(parts[1]), Number(parts[2]), Number(parts[3]))) return undefined;
  const atMs = Date.parse(value.replace(" ", "T").toUpperCase());
  return atMs >= 0 && atMs <= LATEST_MS ? atMs : undefined;
}

/** Whether there is such a day: Date.parse would carry 31 February over into March. */
export function isDay(year: number, month: number, day: number): boolean {
  return month >= 1 && month <= 12 && day >= 1 && day <= new Date(Date.UTC(year, month, 0)).getUTCDate();
}

const uuidV7 = /^([0-9a-f]{8})-([0-9a-f]{4})-7/;

/** When a UUIDv7 was made (RFC 9562, its first 48 bits), in milliseconds since 1970; undefined for any other id. */
export function madeAtMs(id: string): number | undefined {
  const parts = uuidV7.exec(id);
  return parts === null ? undefined : Number.parseInt(`${parts[1]}${parts[2]}`, 16);
}
