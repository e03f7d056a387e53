import { createHash, timingSafeEqual } from "node:crypto";
import { MillraceError } from "../errors.ts";

/**
 * Checks an Authorization header against the hashes of the write keys. Answers the hash, to count requests by.
 * @throws MillraceError KEY_MISSING or KEY_REFUSED.
 */
export function keyCheck(hashes: readonly string[]): (authorization: string | undefined) => string {
  const known = hashes.map((hash) => Buffer.from(hash, "hex"));
  return (authorization) => {
    const key = /^Bearer +(\S+)$/i.exec(authorization ?? "")?.[1];
    if (key === undefined) throw new MillraceError("KEY_MISSING", "send `Authorization: Bearer <key>`");
    const given = createHash("sha256").update(key).digest();
    // Every hash is compared, in constant time: the time taken tells nothing of which is near.
    let matches = 0;
    for (const hash of known) matches += timingSafeEqual(hash, given) ? 1 : 0;
    if (matches === 0) throw new MillraceError("KEY_REFUSED");
    return given.toString("hex");
  };
}
