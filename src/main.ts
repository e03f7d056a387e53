import { readFileSync } from "node:fs";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { configTable } from "./commands/config.ts";
import { bytesOf, repairedLetters, writeLines } from "./commands/dead-letter-lines.ts";
import { type Action, listText, type Selection, select, settle, showText } from "./commands/dead-letters.ts";
import { newWriteKey } from "./commands/key.ts";
import { send, sendDefaults } from "./commands/send.ts";
import { allRoles, compose, openBroker, type Role } from "./compose.ts";
import { readConfig } from "./config.ts";
import { type Config, flagOf, type SettingName, settingNames, settings, variableOf } from "./settings.ts";
import { type ProjectionName, projectionNames } from "./domain/projection.ts";
import { MillraceError } from "./errors.ts";
import type { Broker, DeadLetter } from "./ports/broker.ts";
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
  millrace
    .command("key")
    .description("Makes a write key, and the hash of it that the collector is given.")
    .action(() => {
      const { key, hash } = newWriteKey();
      say(`key (for the client, shown once): ${key}\nhash (for ${variableOf("writeKeyHashes")}): ${hash}`);
    });
  addSend(millrace);
  addDeadLetters(millrace);
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

/** For a command, which says by itself what went wrong. */
function brokerOf(command: Command): Promise<Broker> {
  return openBroker(configOf(command), () => {});
}

function addDeadLetters(millrace: Command): void {
  const group = millrace.command("dead-letters").description("What could not be processed, and why.");
  const add = (name: string, description: string, ids: "[ids...]" | "<ids...>") =>
    withSettings(group.command(name))
      .description(description)
      .argument(ids, "as `list` prints them, such as accountName:17")
      .addOption(new Option("--queue <name>", "only of this queue").choices(projectionNames))
      .option("--match <text>", "only those whose reason or body holds this text")
      .addOption(
        new Option("--limit <letters>", "at most so many, oldest first")
          .argParser(integerFrom(1))
          .default(name === "export" ? undefined : 100),
      );
  add("list", "Lists them, a line each.", "[ids...]").action(
    async (ids: string[], options, command: Command) => {
      await using broker = await brokerOf(command);
      say(listText(await Array.fromAsync(select(broker.deadLetters, selectionOf(ids, options)))));
    },
  );
  add("show", "Prints them whole.", "<ids...>").action(async (ids: string[], options, command: Command) => {
    await using broker = await brokerOf(command);
    const letters = await Array.fromAsync(select(broker.deadLetters, selectionOf(ids, options)));
    if (letters.length > 0) return say(showText(letters));
    complain(`no dead letter is called ${ids.join(" or ")}`);
    process.exitCode = 1;
  });
  add("export", "Writes them as NDJSON, for `replay --repaired` once they are mended.", "[ids...]").action(
    async (ids: string[], options, command: Command) => {
      await using broker = await brokerOf(command);
      const letters = select(broker.deadLetters, selectionOf(ids, options));
      await writeLines(letters, process.stdout);
    },
  );
  const narrow = "Name them, or narrow all of them down by --queue and --match.";
  add("replay", `Puts them back into their queues. ${narrow}`, "[ids...]")
    .option("--yes", "do not ask")
    .addOption(
      new Option(
        "--repaired <file>",
        "those that the lines of `export` in this file name, each with the body and contentType of its line; - for standard input",
      ).conflicts(["queue", "match", "limit"]),
    )
    .option("--force", "with --repaired, also messages that are still not readable")
    .action(async (ids: string[], options, command: Command) => {
      const file: string | undefined = options.repaired;
      if (file === undefined) {
        if (options.force === true)
          throw new MillraceError("INVALID_SETTING", "--force goes with --repaired");
        return settleSelected("replay", ids, options, command);
      }
      if (ids.length > 0)
        throw new MillraceError("INVALID_SETTING", "the file of --repaired names the letters: leave out ids");
      const lines = await bytesOf(file, process.stdin);
      await using broker = await brokerOf(command);
      const accepted = options.force === true ? "any" : "readable";
      const { letters, faults } = await repairedLetters(broker.deadLetters, lines, accepted);
      if (faults.length === 0) return await settleAsking("replayRepaired", broker, letters, options);
      for (const { line, reason } of faults) complain(`line ${line}: ${reason}`);
      say("nothing done");
      process.exitCode = 1;
    });
  add("drop", `Deletes them for good. ${narrow}`, "[ids...]")
    .option("--yes", "do not ask")
    .action((ids: string[], options, command: Command) => settleSelected("drop", ids, options, command));
}

interface Asking {
  readonly yes?: true;
}

async function settleSelected(
  action: "replay" | "drop",
  ids: readonly string[],
  options: Partial<Selection> & Asking,
  command: Command,
): Promise<void> {
  await using broker = await brokerOf(command);
  const letters = await Array.fromAsync(select(broker.deadLetters, selectionOf(ids, options)));
  await settleAsking(action, broker, letters, options);
}

async function settleAsking(
  action: Action,
  { deadLetters }: Broker,
  letters: readonly DeadLetter[],
  { yes }: Asking,
): Promise<void> {
  const terminal = yes === true ? undefined : { input: process.stdin, output: process.stderr };
  say(await settle({ action, deadLetters, letters, terminal }));
}

function selectionOf(ids: readonly string[], options: Partial<Selection>): Selection {
  const { queue, match, limit } = options;
  return { queue, match, limit: limit ?? Number.POSITIVE_INFINITY, ids: new Set(ids) };
}

function fail(error: unknown): void {
  process.exitCode = error instanceof CommanderError ? error.exitCode : 1;
  if (error instanceof CommanderError) return;
  complain(
    error instanceof MillraceError ? error.message : String(error instanceof Error ? error.stack : error),
  );
}

await program().parseAsync().catch(fail);
