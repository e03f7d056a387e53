import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { MillraceError } from "./errors.ts";
import type { Certificates, CertificateSource } from "./ports/certificates.ts";
import { type Config, variableOf } from "./settings.ts";
import type { Emit, FileState } from "./signals.ts";

/** What a certificate is for, and the settings that name its files. */
const files = {
  server: { ca: "serverClientCaFile", cert: "serverCertFile", key: "serverKeyFile" },
  broker: { ca: "brokerCaFile", cert: "brokerCertFile", key: "brokerKeyFile" },
  store: { ca: "storeCaFile", cert: "storeCertFile", key: "storeKeyFile" },
} as const;
export type Purpose = keyof typeof files;
export const purposes = Object.keys(files) as Purpose[];
const kinds = ["ca", "cert", "key"] as const;

/** How often the files are looked at: a certificate is renewed days before the old one expires. */
const LOOK_EVERY_MS = 10_000;

export const isNamed = (config: Config, purpose: Purpose): boolean =>
  kinds.some((kind) => config[files[purpose][kind]] !== "");

/**
 * What is in the files now.
 * @throws MillraceError INVALID_SETTING where one cannot be read, or where they are no certificate and its key.
 */
export function readCertificates(config: Config, purpose: Purpose): Certificates {
  const named = files[purpose];
  if ((config[named.cert] === "") !== (config[named.key] === "")) {
    const [has, lacks] = config[named.cert] === "" ? [named.key, named.cert] : [named.cert, named.key];
    throw invalid(`${variableOf(has)} is set without ${variableOf(lacks)}; a certificate goes with its key`);
  }
  const found = kinds.flatMap((kind) => {
    const path = config[named[kind]];
    return path === "" ? [] : [[kind, textOf(variableOf(named[kind]), path)]];
  });
  const certificates: Certificates = Object.fromEntries(found);
  try {
    createSecureContext(certificates);
  } catch (cause) {
    const variables = kinds.filter((kind) => kind in certificates).map((kind) => variableOf(named[kind]));
    throw invalid(`${variables.join(", ")}: not PEM of a certificate and its key: ${wordsOf(cause)}`, cause);
  }
  return certificates;
}

/** Reads them whenever it is called, for who connects anew; the last good ones where the files are of no use. Undefined where no file is named. */
export function certificateReader(
  config: Config,
  purpose: Purpose,
  emit: Emit = () => {},
): (() => Certificates) | undefined {
  if (!isNamed(config, purpose)) return undefined;
  let last = readCertificates(config, purpose);
  let fault = "";
  const read = (): Certificates => {
    try {
      last = readCertificates(config, purpose);
      fault = "";
    } catch (error) {
      // In the middle of being replaced, they do not fit each other.
      if (wordsOf(error) !== fault) emit("certificates.refused", { purpose, error });
      fault = wordsOf(error);
    }
    return last;
  };
  const state = (): FileState => {
    // Nobody may have connected for weeks.
    const expiresAtMs = expiryOf(read());
    return { failing: fault !== "", expiresAtMs };
  };
  emit("file.watched", { file: purpose, state });
  return read;
}

/** When the first of the chain expires that this side shows, in milliseconds since 1970; undefined where it shows none. */
function expiryOf({ cert = "" }: Certificates): number | undefined {
  const chain = cert.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g);
  return chain === null
    ? undefined
    : Math.min(...chain.map((pem) => Date.parse(new X509Certificate(pem).validTo)));
}

/** The same for who keeps connections: looked at by itself. */
export function openCertificates(
  config: Config,
  purpose: Purpose,
  emit: Emit,
): CertificateSource | undefined {
  if (!isNamed(config, purpose)) return undefined;
  let current = readCertificates(config, purpose);
  let fault = "";
  const listeners: (() => void)[] = [];
  const look = (): void => {
    try {
      const next = readCertificates(config, purpose);
      fault = "";
      if (kinds.every((kind) => next[kind] === current[kind])) return;
      current = next;
    } catch (error) {
      if (wordsOf(error) !== fault) emit("certificates.refused", { purpose, error });
      fault = wordsOf(error);
      return;
    }
    emit("certificates.renewed", { purpose });
    for (const changed of listeners) changed();
  };
  emit("file.watched", {
    file: purpose,
    state: () => ({ failing: fault !== "", expiresAtMs: expiryOf(current) }),
  });
  setInterval(look, LOOK_EVERY_MS).unref();
  return {
    get current() {
      return current;
    },
    onChange: (changed) => void listeners.push(changed),
  };
}

function textOf(variable: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw invalid(`${variable} cannot be read: ${wordsOf(cause)}`, cause);
  }
}

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
const invalid = (detail: string, cause?: unknown): MillraceError =>
  new MillraceError("INVALID_SETTING", detail, { cause });
