import { join } from "node:path";
import { command } from "./command.ts";

/** Paths of PEM files. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
}

/** A certificate authority of a test, in a folder of it; its certificates last for two days, or as many as it is made with. Needs openssl. */
export class Authority {
  readonly ca: string;
  readonly #folder: string;
  readonly #name: string;

  readonly #days: number;

  static async make(folder: string, name: string, days = 2): Promise<Authority> {
    const authority = new Authority(folder, name, days);
    await authority.#request(name, ["-subj", `/CN=${name}`]);
    return authority;
  }

  private constructor(folder: string, name: string, days: number) {
    this.#days = days;
    this.#folder = folder;
    this.#name = name;
    this.ca = join(folder, `${name}.pem`);
  }

  /** For a server at 127.0.0.1, or a client. */
  async issue(name: string): Promise<Issued> {
    const signer = ["-CA", this.ca, "-CAkey", join(this.#folder, `${this.#name}.key`)];
    const names = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"];
    return this.#request(name, [...signer, ...names, "-addext", "basicConstraints=critical,CA:false"]);
  }

  async #request(name: string, words: readonly string[]): Promise<Issued> {
    const [cert, key] = [join(this.#folder, `${name}.pem`), join(this.#folder, `${name}.key`)];
    const kind = [
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-days",
      String(this.#days),
    ];
    await command("openssl", ["req", "-x509", ...kind, ...words, "-out", cert, "-keyout", key]);
    return { cert, key };
  }
}
