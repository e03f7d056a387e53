/** PEM texts for connections with TLS. */
export interface Certificates {
  /** Of the authorities that sign the other side's certificate; without it, those that node knows. */
  readonly ca?: string;
  /** By which this side proves who it is, and its private key; both or none. */
  readonly cert?: string;
  readonly key?: string;
}

/** Certificates that are replaced now and then, before they expire. */
export interface CertificateSource {
  readonly current: Certificates;
  /** Has `changed` called whenever they have become others. */
  onChange(changed: () => void): void;
}
