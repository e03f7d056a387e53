import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { command } from "../parts/command.ts";

export interface Certificate {
  readonly pem: string;
  readonly key: string;
}

/** For 127.0.0.1, for two days, and signed by itself, so that it is its own authority. Needs openssl. */
export async function certificate(): Promise<Certificate> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-certificate-"));
  try {
    const [pem, key] = [join(folder, "certificate.pem"), join(folder, "key.pem")];
    const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    const names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
    await command("openssl", ["req", "-x509", ...kind, ...names, "-out", pem, "-keyout", key]);
    return { pem: await readFile(pem, "utf8"), key: await readFile(key, "utf8") };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
