import { createHash, randomBytes } from "node:crypto";

/** A new write key of 256 random bits, and the hash that MILLRACE_WRITE_KEY_HASHES takes. */
export function newWriteKey(): { readonly key: string; readonly hash: string } {
  const key = randomBytes(32).toString("base64url");
  return { key, hash: createHash("sha256").update(key).digest("hex") };
}
