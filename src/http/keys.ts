import { createHmac, hash, randomBytes } from "node:crypto";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { type Access, accesses, expiryMs, type StoredKey } from "../domain/key.ts";
import { MillraceError } from "../errors.ts";

/** Whose key it is, and how much it may do; 0 for no limit of its own. */
export interface KeyHolder {
  readonly name: string;
  readonly ratePerSecond: number;
  readonly eventsPerDay: number;
}
export interface KeyRules {
  readonly writeKeyHashes: readonly string[];
  readonly keysFile: string;
  readonly keysRequiredFor: readonly string[];
}
/** Answers the holder of the key in an Authorization header. Throws MillraceError KEY_MISSING or KEY_REFUSED. */
export type KeyCheck = (authorization: string | undefined) => KeyHolder;

interface Known {
  readonly holder: KeyHolder;
  readonly access: readonly Access[];
  readonly expiryMs: number;
}

/** A key that is known does not do. */
export class AccessRefused extends MillraceError {
  readonly holder: KeyHolder;

  constructor({ access, holder }: Known, needed: Access) {
    super("KEY_REFUSED", `its access is ${access.join(", ")}; ${needed} is needed here`);
    this.holder = holder;
  }
}

/** The keys in force: those of the file, and the hashes that may write. */
export class KeyRing {
  readonly #rules: KeyRules;
  readonly #now: () => number;
  readonly #blinding = randomBytes(32);
  #known: ReadonlyMap<string, Known> = new Map();

  constructor(rules: KeyRules, keys: readonly StoredKey[], now: () => number) {
    this.#rules = rules;
    this.#now = now;
    this.replace(keys);
  }

  /** Whether anything at all asks for a key. */
  get isNeeded(): boolean {
    return accesses.some((access) => this.checkOf(access) !== undefined);
  }

  /** Whether there is a file, in which keys with limits may come at any time. */
  get mayLimit(): boolean {
    return this.#rules.keysFile !== "";
  }

  replace(keys: readonly StoredKey[]): void {
    const known = new Map<string, Known>();
    for (const one of this.#rules.writeKeyHashes) {
      const holder = { name: `hash ${one.slice(0, 8)}`, ratePerSecond: 0, eventsPerDay: 0 };
      known.set(this.#blinded(one), { holder, access: ["write"], expiryMs: Number.POSITIVE_INFINITY });
    }
    for (const key of keys) {
      const { name, ratePerSecond = 0, eventsPerDay = 0 } = key;
      const holder = { name, ratePerSecond, eventsPerDay };
      known.set(this.#blinded(key.hash), { holder, access: key.access, expiryMs: expiryMs(key) });
    }
    this.#known = known;
  }

  /** Undefined where anyone may: see docs/keys.md for what demands what. */
  checkOf(access: Access): KeyCheck | undefined {
    const { writeKeyHashes, keysFile, keysRequiredFor } = this.#rules;
    const hashed = access === "write" && writeKeyHashes.length > 0;
    if (!hashed && (keysFile === "" || !keysRequiredFor.includes(access))) return undefined;
    return (authorization) => this.#check(authorization, access);
  }

  /**
   * For replaying dead letters: without a file of keys, a key that may write does, as it did before there were such files.
   */
  checkOfReplay(): KeyCheck | undefined {
    return this.checkOf("admin") ?? (this.#rules.keysFile === "" ? this.checkOf("write") : undefined);
  }

  /** What is compared is keyed by a secret that nobody outside knows: the time that a look-up takes tells nothing of a hash. */
  #blinded(keyHash: string): string {
    return createHmac("sha256", this.#blinding).update(keyHash).digest("base64");
  }

  #check(authorization: string | undefined, access: Access): KeyHolder {
    const key = /^Bearer +(\S+)$/i.exec(authorization ?? "")?.[1];
    if (key === undefined) throw new MillraceError("KEY_MISSING", "send `Authorization: Bearer <key>`");
    const known = this.#known.get(this.#blinded(hash("sha256", key, "hex")));
    if (known === undefined) throw new MillraceError("KEY_REFUSED", "it is not known");
    if (this.#now() >= known.expiryMs) throw new MillraceError("KEY_REFUSED", "it has expired");
    if (!known.access.includes(access)) {
      throw new AccessRefused(known, access);
    }
    return known.holder;
  }
}

/** Lets none of the scope's routes, registered after this, be asked without a key. Answers who asked; undefined where anyone may. */
export function guardRoutes(
  scope: FastifyInstance,
  check: KeyCheck | undefined,
): (request: FastifyRequest) => KeyHolder | undefined {
  if (check === undefined) return () => undefined;
  const holders = new WeakMap<FastifyRequest, KeyHolder>();
  scope.addHook("onRoute", (route) => {
    route.schema = { ...route.schema, security: [{ [KEY_SCHEME]: [] }] };
  });
  scope.addHook("onRequest", async (request) => {
    holders.set(request, check(request.headers.authorization));
  });
  return (request) => holders.get(request);
}

/** What the description of an API calls the keys. */
export const KEY_SCHEME = "key";
