import type { ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { appendFile, copyFile, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { askStore } from "./ask.ts";
import { chroot, type Recipe } from "./chroot.ts";
import { ChrootPart, ended } from "./chroot-part.ts";
import { command } from "./command.ts";
import { obtainFerretDb } from "./ferretdb.ts";

import type { Filed, StorePart } from "./part.ts";
import { freePorts } from "./ports.ts";
import { PartProcesses } from "./process.ts";

const BIN = "/usr/lib/postgresql/18/bin";
/** A database folder with the extension in it, in the chroot: each part starts from a copy. */
const TEMPLATE = "/srv/template";

const settings = `
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
# There is no /dev/shm in the chroot.
dynamic_shared_memory_type = mmap
shared_preload_libraries = 'pg_cron,pg_documentdb_core,pg_documentdb'
cron.database_name = 'postgres'
# The extension's jobs, such as for what has expired, would else be sent to the port that the template was made with.
cron.use_background_workers = on
cron.log_statement = off
max_worker_processes = 32
max_connections = 200
max_wal_size = 2GB
# With the next line: a command that deadlocks fails at once with nothing of it applied. By default the server tries it
# again by itself, for minutes.
deadlock_timeout = 100ms
documentdb.throwDeadlockOnCRUD = on
`;

const recipe: Recipe = {
  name: "postgresql-18-forky-2",
  suite: "forky",
  packages: ["postgresql-18", "postgresql-18-documentdb"],
  finish: makeTemplate,
};

async function makeTemplate(root: string): Promise<void> {
  const enter = ["--userspec=postgres:postgres", root, "env", "-i", "LANG=C.UTF-8", "sh", "-ec"];
  await command("chroot", [root, "install", "-d", "-o", "postgres", TEMPLATE]);
  const make = `${BIN}/initdb -D ${TEMPLATE} -U postgres -A trust -E UTF8 --locale=C.UTF-8`;
  await command("chroot", [...enter, make]);
  await appendFile(join(root, TEMPLATE, "postgresql.conf"), settings);
  const extend = `echo 'CREATE EXTENSION documentdb CASCADE' | ${BIN}/postgres --single -D ${TEMPLATE} postgres`;
  await command("chroot", [...enter, extend]);
}

/** Brings the two halves of the store into the cache, unless they are there, and resolves with the chroot of both. */
export async function obtainMongoWire(): Promise<string> {
  const [root, program] = await Promise.all([chroot(recipe), obtainFerretDb()]);
  const place = join(root, "usr/local/bin/ferretdb");
  if (!existsSync(place)) {
    const partial = `${place}.${process.pid}`;
    await copyFile(program, partial);
    await rename(partial, place);
  }
  return root;
}

/** FerretDB before PostgreSQL with DocumentDB, in a chroot, on free ports and a data folder of its own. */
export class MongoWire extends ChrootPart implements StorePart {
  readonly url: string;
  readonly #port: number;
  readonly #postgresPort: number;

  static async open(): Promise<MongoWire> {
    const root = await obtainMongoWire();
    const [port = 0, postgresPort = 0] = await freePorts(2);
    const processes = await PartProcesses.open(root, "store");
    await processes.adopt(join(root, TEMPLATE), "pg");
    return new MongoWire(processes, port, postgresPort);
  }

  private constructor(processes: PartProcesses, port: number, postgresPort: number) {
    super(processes);
    this.#port = port;
    this.#postgresPort = postgresPort;
    this.url = `mongodb://127.0.0.1:${port}/`;
  }

  get files(): Filed {
    const server = { PGHOST: "127.0.0.1", PGPORT: String(this.#postgresPort), PGUSER: "postgres" };
    return this.filed({ ...this.#environment(), ...server });
  }

  #environment(): Readonly<Record<string, string>> {
    const home = this.processes.inside;
    return { HOME: home, LANG: "C.UTF-8", PATH: `${BIN}:/usr/local/bin:/usr/bin:/bin` };
  }

  protected async launch(): Promise<void> {
    const { inside } = this.processes;
    const environment = this.#environment();
    const postgres = this.processes.spawn(
      ["postgres", "-D", `${inside}/pg`, "-p", String(this.#postgresPort)],
      environment,
    );
    await this.#postgresReady(postgres);
    const ferretDb = this.processes.spawn(
      [
        "ferretdb",
        `--listen-addr=127.0.0.1:${this.#port}`,
        `--postgresql-url=postgres://postgres@127.0.0.1:${this.#postgresPort}/postgres?pool_max_conns=50`,
        "--no-auth",
        "--debug-addr=-",
        "--telemetry=disable",
        "--log-level=error",
        `--state-dir=${inside}`,
      ],
      environment,
    );
    this.mains = [
      { child: ferretDb, signal: "SIGTERM" },
      // To PostgreSQL, SIGINT means not to wait until its clients have left.
      { child: postgres, signal: "SIGINT" },
    ];
  }

  protected async ask(): Promise<string> {
    return askStore(this.url);
  }

  /** Reads the file in which PostgreSQL says whose it is and how far it has come. */
  async #postgresReady(child: ChildProcess): Promise<void> {
    while (!ended(child)) {
      const text = await readFile(join(this.processes.folder, "pg/postmaster.pid"), "utf8").catch(() => "");
      const lines = text.split("\n").map((line) => line.trim());
      if (lines[0] === String(child.pid) && lines[7] === "ready") return;
      await sleep(20);
    }
    throw new Error("PostgreSQL has ended");
  }
}
