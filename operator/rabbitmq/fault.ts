import type { FiguresFault } from "../broker-figures.ts";

/** Why a broker, or one of its queues, tells no figures. The message says what to mend, and holds no secret. */
export class FiguresError extends Error {
  override readonly name = "FiguresError";
  readonly fault: FiguresFault;

  constructor(fault: FiguresFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.fault = fault;
  }
}

/** Of node's TLS, which has no list of its own: https://nodejs.org/api/tls.html#x509-certificate-error-codes */
const CERTIFICATE =
  /CERT|SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)|INVALID_(CA|PURPOSE)|HOSTNAME_MISMATCH|CRL|ERR_OSSL_PEM/;

/** What a request that got no answer has died of, said of the API at `url`. */
export function unreachable(url: string, error: unknown, timeoutMs: number): FiguresError {
  const at = `the management API at ${url}`;
  const { name, code = "" } = error as NodeJS.ErrnoException;
  const says = (what: string) => new FiguresError("Unreachable", `${at} ${what}`, { cause: error });
  if (name === "TimeoutError" || name === "AbortError")
    return says(`has not answered within ${timeoutMs / 1000} seconds`);
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return says("shows the certificate of another host name");
  if (code === "CERT_HAS_EXPIRED") return says("shows a certificate that has expired");
  if (CERTIFICATE.test(code)) {
    return says(
      `shows a certificate that is not trusted (${code}): ca.crt of the Secret must hold who has signed it`,
    );
  }
  if (/^(EPROTO|HPE_|ERR_SSL)/.test(code)) {
    const other = url.startsWith("https:") ? "http://" : "https://";
    return says(`does not speak as it is spoken to (${code}): is the port right, or is it ${other}?`);
  }
  if (/^(ENOTFOUND|EAI_)/.test(code)) return says(`cannot be reached: its host name is not known (${code})`);
  return says(
    `cannot be reached${code === "" ? "" : ` (${code})`}: is it running, and may this pod connect to it?`,
  );
}
