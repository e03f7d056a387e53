import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { hyperkube } from "../../kind/offline/programs.ts";
import { OwnPart } from "./own.ts";
import { freePorts } from "./ports.ts";

/** What is sent to the API server as itself: a manifest, a patch, a question. */
export interface ApiRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Begins with a slash. */
  readonly path: string;
  readonly body?: unknown;
  /** `application/json` by default. */
  readonly contentType?: string;
}

/** Any JSON of the API; tests look into it as they know it to be. */
export interface ApiObject {
  readonly [field: string]: unknown;
}

export interface ApiAnswer {
  readonly status: number;
  readonly body: ApiObject;
}

/** A kube-apiserver with its etcd, and nothing else: what controllers would do is for the test to do. */
export interface ApiServerPart extends AsyncDisposable {
  readonly version: string;
  /** Such as `https://127.0.0.1:12345`. */
  readonly url: string;
  readonly port: number;
  readonly pids: readonly number[];
  /** Asks as an administrator; resolves with whatever is answered. */
  send(request: ApiRequest): Promise<ApiAnswer>;
  /** As `send`; rejects where the answer is no success, and resolves with its body. */
  must(request: ApiRequest): Promise<ApiObject>;
  /** Creates the service account if there is none, and resolves with a token of it. */
  token(namespace: string, serviceAccount: string): Promise<string>;
  /** Of an administrator; or of whom the token is. The port may be that of a proxy in between. */
  kubeConfig(as?: { readonly token?: string; readonly port?: number }): string;
  /** Lets etcd forget all that is not the present, so that a watch from before is answered with 410. */
  compact(): Promise<void>;
  /** Ends the API server with SIGKILL; etcd goes on. */
  kill(): Promise<void>;
  /** After `kill`, on the same data and port. Resolves once it is ready. */
  start(): Promise<void>;
  pause(): void;
  resume(): void;
}

/** Resolves once the API server is ready, within some seconds. Rejects with PartMissing where its program cannot be had. */
export async function startApiServer(): Promise<ApiServerPart> {
  const [program, folder] = await Promise.all([hyperkube(), mkdtemp(join(tmpdir(), "millrace-api-server-"))]);
  const [port = 0, etcdPort = 0, peerPort = 0] = await freePorts(3);
  const part = new ApiServer({ program, folder, port, etcdPort, peerPort });
  try {
    await part.prepare();
    await part.start();
  } catch (error) {
    await part[Symbol.asyncDispose]();
    throw error;
  }
  return part;
}

interface Place {
  readonly program: string;
  readonly folder: string;
  readonly port: number;
  readonly etcdPort: number;
  readonly peerPort: number;
}

const ASK_MS = 20_000;

class ApiServer extends OwnPart implements ApiServerPart {
  readonly #place: Place;
  readonly #adminToken = randomBytes(16).toString("hex");
  readonly #agent = new Agent({ keepAlive: true });
  #etcd: ChildProcess | undefined;
  #server: ChildProcess | undefined;
  #ca: Buffer | undefined;

  constructor(place: Place) {
    super();
    this.#place = place;
  }

  get port(): number {
    return this.#place.port;
  }

  get url(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  get pids(): readonly number[] {
    return [this.#etcd, this.#server].filter(runs).flatMap((child) => child?.pid ?? []);
  }

  /** Writes the keys and tokens, and starts etcd. */
  async prepare(): Promise<void> {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    await Promise.all([
      writeFile(this.#file("account.key"), privateKey.export({ type: "sec1", format: "pem" })),
      writeFile(this.#file("tokens"), `${this.#adminToken},admin,admin,system:masters\n`),
    ]);
    const { etcdPort, peerPort } = this.#place;
    const [client, peer] = [etcdPort, peerPort].map((port) => `http://127.0.0.1:${port}`);
    this.#etcd = this.#spawn("etcd", {
      "data-dir": this.#file("etcd"),
      "listen-client-urls": client,
      "advertise-client-urls": client,
      "listen-peer-urls": peer,
      "initial-advertise-peer-urls": peer,
      "initial-cluster": `default=${peer}`,
      "unsafe-no-fsync": "true",
      "log-level": "warn",
    });
  }

  async send(what: ApiRequest): Promise<ApiAnswer> {
    const body = what.body === undefined ? undefined : JSON.stringify(what.body);
    const question = request(`${this.url}${what.path}`, {
      method: what.method,
      agent: this.#agent,
      ca: this.#ca,
      signal: AbortSignal.timeout(ASK_MS),
      headers: {
        authorization: `Bearer ${this.#adminToken}`,
        ...(body === undefined
          ? {}
          : {
              "content-type": what.contentType ?? "application/json",
              "content-length": Buffer.byteLength(body),
            }),
      },
    });
    question.end(body);
    const [answer] = await once(question, "response");
    const said = await text(answer);
    return { status: answer.statusCode, body: said.startsWith("{") ? JSON.parse(said) : { said } };
  }

  async must(what: ApiRequest): Promise<ApiObject> {
    const { status, body } = await this.send(what);
    if (status < 300) return body;
    throw new Error(
      `${what.method} ${what.path} is answered ${status}: ${String(body["message"] ?? body["said"])}`,
    );
  }

  async token(namespace: string, serviceAccount: string): Promise<string> {
    const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
    await this.send({ method: "POST", path: accounts, body: { metadata: { name: serviceAccount } } });
    const spec = { expirationSeconds: 3600 };
    const path = `${accounts}/${serviceAccount}/token`;
    const answer = await this.must({ method: "POST", path, body: { spec } });
    return (answer["status"] as { readonly token: string }).token;
  }

  kubeConfig({ token = this.#adminToken, port = this.port } = {}): string {
    const ca = this.#ca?.toString("base64");
    return JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      clusters: [
        { name: "test", cluster: { server: `https://127.0.0.1:${port}`, "certificate-authority-data": ca } },
      ],
      users: [{ name: "test", user: { token } }],
      contexts: [{ name: "test", context: { cluster: "test", user: "test", namespace: "default" } }],
      "current-context": "test",
    });
  }

  async compact(): Promise<void> {
    const kv = `http://127.0.0.1:${this.#place.etcdPort}/v3/kv`;
    const post = async (path: string, body: unknown) => {
      const answer = await fetch(`${kv}/${path}`, { method: "POST", body: JSON.stringify(body) });
      if (!answer.ok) throw new Error(`etcd answers ${answer.status}: ${await answer.text()}`);
      return (await answer.json()) as { readonly header: { readonly revision: string } };
    };
    const { header } = await post("range", { key: Buffer.from("/").toString("base64") });
    await post("compaction", { revision: header.revision, physical: true });
  }

  pause(): void {
    this.#server?.kill("SIGSTOP");
  }

  resume(): void {
    this.#server?.kill("SIGCONT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await ended(this.#etcd);
    this.#agent.destroy();
    await rm(this.#place.folder, { recursive: true, force: true });
  }

  protected async launch(): Promise<void> {
    this.#server = this.#spawn("kube-apiserver", {
      "etcd-servers": `http://127.0.0.1:${this.#place.etcdPort}`,
      "secure-port": String(this.port),
      "bind-address": "127.0.0.1",
      "advertise-address": "127.0.0.1",
      // It makes itself a certificate there, for 127.0.0.1.
      "cert-dir": this.#file("certificates"),
      "service-cluster-ip-range": "10.96.0.0/16",
      "service-account-issuer": "https://kubernetes.default.svc",
      "service-account-key-file": this.#file("account.key"),
      "service-account-signing-key-file": this.#file("account.key"),
      "token-auth-file": this.#file("tokens"),
      "authorization-mode": "RBAC",
      "disable-admission-plugins": "ServiceAccount",
      "endpoint-reconciler-type": "none",
      // Every change of its own would be an event that tests of watches do not expect.
      "etcd-compaction-interval": "0",
      v: "1",
    });
  }

  protected async ask(): Promise<string> {
    this.#ca = await readFile(this.#file("certificates/apiserver.crt"));
    const ready = await this.send({ method: "GET", path: "/readyz" });
    if (ready.status !== 200) throw new Error(`/readyz is answered ${ready.status}`);
    const { gitVersion } = await this.must({ method: "GET", path: "/version" });
    return `Kubernetes ${String(gitVersion)}`;
  }

  protected lives(): boolean {
    return runs(this.#etcd) && runs(this.#server);
  }

  protected async end(): Promise<void> {
    this.#agent.destroy();
    await ended(this.#server);
  }

  protected async output(): Promise<string> {
    return (await readFile(this.#file("output"), "utf8").catch(() => "")).slice(-8192);
  }

  #file(name: string): string {
    return join(this.#place.folder, name);
  }

  /** It ends with this process, however that comes about, where that can be arranged: on Linux. */
  #spawn(name: string, flags: Readonly<Record<string, string | undefined>>): ChildProcess {
    const output = openSync(this.#file("output"), "a");
    const words = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
    const child = spawn("setpriv", ["--pdeathsig", "KILL", this.#place.program, name, ...words], {
      stdio: ["ignore", output, output],
      // Out of the reach of a Ctrl-C, which is for this process.
      detached: true,
    });
    closeSync(output);
    child.unref();
    return child;
  }
}

function runs(child: ChildProcess | undefined): boolean {
  return child !== undefined && child.exitCode === null && child.signalCode === null;
}

async function ended(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || !runs(child)) return;
  const exit = once(child, "exit");
  child.ref();
  child.kill("SIGKILL");
  await exit;
}
