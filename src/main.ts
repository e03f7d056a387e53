import { readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { openKeyFile } from "./adapters/embedded/key-file.ts";
import { createCommandLogger, createLogSubscriber } from "./adapters/telemetry/pino.ts";
import { addBackup } from "./commands/backup-command.ts";
import { configTable } from "./commands/config.ts";
import { addDeadLetters } from "./commands/dead-letters-line.ts";
import { addDoctor } from "./commands/doctor-command.ts";
import { addErase } from "./commands/erase-command.ts";
import { addKeys } from "./commands/keys-line.ts";
import { send, sendDefaults } from "./commands/send.ts";
import { openBackupSource, openBroker, openErasure, openRestoreTarget } from "./backends.ts";
import { allRoles, compose, type Role } from "./compose.ts";
import { readConfig } from "./config.ts";
import { type Config, flagOf, type SettingName, settingNames, settings, variableOf } from "./settings.ts";
import type { RecordAudit } from "./domain/audit.ts";
import { type ProjectionName, projectionNames } from "./domain/projection.ts";
import { MillraceError } from "./errors.ts";
import { runActors } from "./run.ts";
import { version } from "./version.ts";

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const complain = (text: string): void => void process.stderr.write(`millrace: ${text}\n`);

/** The first SIGTERM or SIGINT asks to stop; a second one ends the process at once. */
function stopOnSignals(): AbortController {
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(1);
      stop.abort();
    });
  }
  return stop;
}

function configOf(command: Command): Config {
  const flags: Partial<Record<SettingName, string>> = {};
  for (const name of settingNames) {
    const value: unknown = command.getOptionValue(name);
    if (typeof value === "string") flags[name] = value;
  }
  return readConfig(process.env, flags);
}

async function runRoles(roles: readonly Role[], command: Command): Promise<void> {
  const config = configOf(command);
  const stop = stopOnSignals();
  try {
    await using parts = new AsyncDisposableStack();
    const actors = await compose(roles, config, parts, stop.signal, process.env);
    if (roles === allRoles) announce(config);
    await runActors(actors, stop, config.drainTimeoutMs);
  } catch (error) {
    fail(error);
  }
  // All is closed: an export of traces that nobody answers must not hold the process.
  process.exit();
}

function announce(config: Config): void {
  if (!process.stdout.isTTY) return;
  const scheme = config.serverCertFile === "" ? "http" : "https";
  const [collector, query] = [config.collectorPort, config.queryPort].map(
    (port) => `${scheme}://localhost:${port}`,
  );
  say(`
Millrace takes events at ${collector}/event
and answers at          ${query}/metrics/hourly_logs/total

  curl -H 'content-type: application/json' -d '{"username":"kodingbot","count":12412414,"metric":"kite_call"}' ${collector}/event
  curl ${query}/metrics/hourly_logs/total
`);
}

/** Every setting as a flag; a secret has none, since arguments can be read by every user of the machine. */
function withSettings(command: Command): Command {
  for (const name of settingNames) {
    const { secret, sentence, allowed } = settings[name];
    if (secret) continue;
    const option = new Option(
      `${flagOf(name)} <value>`,
      `${sentence} Must be ${allowed}. Default: ${String(settings[name].default)}. Variable: ${variableOf(name)}`,
    );
    command.addOption(option.helpGroup("Settings:"));
  }
  return command;
}

function integerFrom(minimum: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= minimum && value <= Number.MAX_SAFE_INTEGER) return value;
    throw new InvalidArgumentError(`It must be an integer from ${minimum} on.`);
  };
}

const openSource = (command: Command) => openBackupSource(configOf(command));
const openTarget = (command: Command) => openRestoreTarget(configOf(command));

function program(): Command {
  const millrace = new Command("millrace")
    .description("Takes in events, never loses one it has acknowledged, counts each once.")
    .version(version)
    .exitOverride()
    .showHelpAfterError("(see --help)");

  withSettings(millrace.command("standalone"))
    .description("Collector, workers, sweeper and query in one process.")
    .action((_options, command: Command) => runRoles(allRoles, command));
  for (const role of ["collector", "query", "sweeper"] as const) {
    withSettings(millrace.command(role))
      .description(
        {
          collector: "Takes events in over HTTP and publishes them.",
          query: "Answers over HTTP what the events come to.",
          sweeper: "Expires what is too old and merges days into months.",
        }[role],
      )
      .action((_options, command: Command) => runRoles([role], command));
  }
  withSettings(millrace.command("worker"))
    .description("Stores the events of one queue.")
    .addArgument(millrace.createArgument("<name>", "which queue").choices(projectionNames))
    .action((name: ProjectionName, _options, command: Command) => runRoles([name], command));
  withSettings(millrace.command("operator"))
    .description("Scales workloads on the depth of their queues, as QueueScalers say.")
    .action(async (_options, command: Command) => {
      // The client of Kubernetes is large, and no other role needs it.
      const { composeOperator } = await import("../operator/compose.ts");
      const config = configOf(command);
      const stop = stopOnSignals();
      await using parts = new AsyncDisposableStack();
      const actors = await composeOperator(config, parts, stop.signal);
      await runActors(actors, stop, config.drainTimeoutMs);
    });
  withSettings(millrace.command("config"))
    .description("Prints the effective settings, secrets masked.")
    .action((_options, command: Command) => say(configTable(configOf(command))));
  addDoctor(millrace, {
    withSettings,
    configOf,
    // Loaded by this command alone.
    checksOf: async (...given) => (await import("./doctor.ts")).checksOf(...given),
    integerFrom,
    say,
    exit: (code) => process.exit(code),
    version,
  });
  addKeys(millrace, {
    record: recordAudit,
    by: userName(),
    withSettings,
    keysFileOf: (command) => configOf(command).keysFile,
    openFile: openKeyFile,
    openSecret: async (secret) =>
      (await import("../operator/kubernetes/key-secret.ts")).openKeySecret(secret),
    say,
    tell: complain,
  });
  addSend(millrace);
  addDeadLetters(millrace, {
    record: recordAudit,
    by: userName(),
    withSettings,
    // A command says by itself what went wrong.
    openBroker: (command) => openBroker(configOf(command), () => {}),
    integerFrom,
    streams: process,
    say,
    complain,
    fail: () => {
      process.exitCode = 1;
    },
  });
  const shown = { terminal: process.stderr, environment: process.env, say, version };
  addBackup(millrace, { ...shown, withSettings, openSource, openTarget });
  addErase(millrace, {
    record: recordAudit,
    by: userName(),
    withSettings,
    openErasure: (command) => openErasure(configOf(command)),
    integerFrom,
    terminal: { input: process.stdin, output: process.stderr },
    say,
    fail: () => {
      process.exitCode = 1;
    },
  });
  return millrace;
}

function addSend(millrace: Command): void {
  millrace
    .command("send")
    .description("Sends the events of a file to a collector; with the same ids in every retry.")
    .argument("<file>", "NDJSON, or CSV with a header line; - for standard input")
    .option("--url <url>", "the collector", sendDefaults.url)
    .addOption(
      new Option("--format <format>", "auto: CSV if the file's name says so, else NDJSON")
        .choices(["auto", "ndjson", "csv"])
        .default(sendDefaults.format),
    )
    .option("--batch-size <events>", "most events in a request", integerFrom(1), sendDefaults.batchSize)
    .option("--concurrency <requests>", "most requests at a time", integerFrom(1), sendDefaults.concurrency)
    .option("--retries <times>", "tries of a request after its first", integerFrom(0), sendDefaults.retries)
    .option("--timeout-ms <ms>", "longest wait for an answer", integerFrom(1), sendDefaults.timeoutMs)
    .option("--gzip", "compress the requests")
    .option("--write-key-file <file>", "file with the write key (or the variable MILLRACE_WRITE_KEY)")
    .option("--rejects <file>", "write the line and reason of every rejected event to this file")
    .option(
      "--failed <file>",
      "write every event that could not be sent to this file, with its id, to send again",
    )
    .action(async (file: string, options) => {
      const keyFile: string | undefined = options.writeKeyFile;
      const writeKey =
        keyFile === undefined ? process.env["MILLRACE_WRITE_KEY"] : readFileSync(keyFile, "utf8").trim();
      process.exitCode = await send({
        ...sendDefaults,
        ...options,
        file,
        gzip: options.gzip === true,
        writeKey: writeKey === "" ? undefined : writeKey,
        reportFiles: { rejects: options.rejects, failed: options.failed },
        stdin: process.stdin,
        stdout: process.stdout,
        stderr: process.stderr,
        environment: process.env,
        stop: stopOnSignals().signal,
      });
    });
}

/** As whom a command is run, for the audit log. */
function userName(): string {
  try {
    return `user ${userInfo().username}`;
  } catch {
    // A container may run as a user that has no name.
    return `user ${process.getuid?.() ?? "unknown"}`;
  }
}

const recordAudit: RecordAudit = (audit) =>
  createLogSubscriber(createCommandLogger())("audit.recorded", audit);

function fail(error: unknown): void {
  process.exitCode = error instanceof CommanderError ? error.exitCode : 1;
  if (error instanceof CommanderError) return;
  complain(
    error instanceof MillraceError ? error.message : String(error instanceof Error ? error.stack : error),
  );
}

await program().parseAsync().catch(fail);
