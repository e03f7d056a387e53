import { X509Certificate } from "node:crypto";
import { fault, type Finding, type Problem, SOON_MS, warning } from "../domain/diagnosis.ts";
import { expiryMs, type StoredKey } from "../domain/key.ts";
import { MillraceError } from "../errors.ts";
import type { Certificates } from "../ports/certificates.ts";
import type { Check } from "../ports/check.ts";
import type { Config } from "../settings.ts";

const timeOf = (ms: number): string => new Date(ms).toISOString();

/** The keys of the file, by name: never a key, nor its hash. */
export function keysCheck(
  { keysFile, keysRequiredFor }: Pick<Config, "keysFile" | "keysRequiredFor">,
  read: (path: string) => readonly StoredKey[],
  now: () => number,
): Check {
  return {
    name: "keys",
    todo: "mend the file, or restore it: with one that cannot be read no collector and no query API starts (docs/keys.md)",
    run: async () => {
      const keys = read(keysFile);
      const nowMs = now();
      const valid = keys.filter((key) => expiryMs(key) > nowMs);
      const problems: Problem[] = [];
      for (const access of ["write", "read", "admin"] as const) {
        if (!keysRequiredFor.includes(access) || valid.some((key) => key.access.includes(access))) continue;
        problems.push(
          warning(
            `no key that is valid has the access ${access}, so nobody has it`,
            `millrace keys create --name <name> --access ${access} --keys-file ${keysFile}`,
          ),
        );
      }
      for (const [name, endsMs] of lastEnds(keys)) problems.push(...keyProblems(name, endsMs, nowMs));
      return { found: `${keysFile}: ${keys.length} keys, ${valid.length} valid`, problems };
    },
  };
}

/** When the last key of each name ends: one that was rotated has a younger one beside it. */
function lastEnds(keys: readonly StoredKey[]): ReadonlyMap<string, number> {
  const ends = new Map<string, number>();
  for (const key of keys) ends.set(key.name, Math.max(ends.get(key.name) ?? 0, expiryMs(key)));
  return ends;
}

function* keyProblems(name: string, endsMs: number, nowMs: number): Generator<Problem> {
  if (endsMs > nowMs + SOON_MS) return;
  const todo = `if it is still needed: millrace keys rotate ${name}; else millrace keys revoke ${name}`;
  yield warning(`the key ${name} ${endsMs > nowMs ? "ends" : "ended"} at ${timeOf(endsMs)}`, todo);
}

export interface CertificateFiles {
  /** Such as `server`. */
  readonly purpose: string;
  /** Rejects what cannot be read or does not fit. */
  readonly read: () => Certificates;
}

export function certificatesCheck(all: readonly CertificateFiles[], now: () => number): Check {
  return {
    name: "certificates",
    todo: "see docs/tls.md",
    run: async () => {
      const findings = all.map((files) => certificateFinding(files, now()));
      return {
        found: findings.flatMap(({ found }) => (found === "" ? [] : [found])).join("; "),
        problems: findings.flatMap(({ problems }) => problems),
      };
    },
  };
}

function certificateFinding({ purpose, read }: CertificateFiles, nowMs: number): Finding {
  let certificates: Certificates;
  try {
    certificates = read();
  } catch (error) {
    const what = error instanceof MillraceError ? (error.detail ?? error.message) : String(error);
    return {
      found: "",
      problems: [fault(what, "put the right files in place; a role does not start like this")],
    };
  }
  const found: string[] = [];
  const problems: Problem[] = [];
  for (const [kind, pem] of Object.entries({ authority: certificates.ca, certificate: certificates.cert })) {
    // Of a chain, any may be the first to end.
    for (const one of pemsIn(pem)) {
      const { validToDate, validFromDate } = new X509Certificate(one);
      const [toMs, fromMs] = [validToDate.getTime(), validFromDate.getTime()];
      const which = `the ${kind} for the ${purpose}`;
      found.push(`${which} until ${timeOf(toMs)}`);
      const todo =
        "renew it and put it in the place of the old file: it is taken up without a restart (docs/tls.md)";
      if (toMs <= nowMs) problems.push(fault(`${which} ended at ${timeOf(toMs)}`, todo));
      else if (fromMs > nowMs)
        problems.push(fault(`${which} begins at ${timeOf(fromMs)} only`, "see the clock"));
      else if (toMs <= nowMs + SOON_MS) problems.push(warning(`${which} ends at ${timeOf(toMs)}`, todo));
    }
  }
  return { found: found.join(", "), problems };
}

const pemsIn = (text: string | undefined): readonly string[] =>
  text?.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
