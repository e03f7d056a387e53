import { createHash, randomBytes } from "node:crypto";

/** By this a scanner finds a key where none should be. */
const PREFIX = "mlr_";

/** A new key of 256 random bits, and the hash of it that is kept. */
export function newKey(): { readonly key: string; readonly hash: string } {
  const key = `${PREFIX}${randomBytes(32).toString("base64url")}`;
  return { key, hash: createHash("sha256").update(key).digest("hex") };
}
