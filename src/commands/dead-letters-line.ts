import { type Command, Option } from "commander";
import { type About, type AuditAction, audited, type RecordAudit } from "../domain/audit.ts";
import { DAY_MS } from "../domain/distinct-name.ts";
import { projectionNames } from "../domain/projection.ts";
import { MillraceError } from "../errors.ts";
import type { Broker, DeadLetter } from "../ports/broker.ts";
import { bytesOf, repairedLetters, writeLines } from "./dead-letter-lines.ts";
import {
  listedOf,
  listText,
  nameOf,
  type Selection,
  select,
  settle,
  showText,
  type ToSettle,
} from "./dead-letters.ts";

export interface DeadLettersContext {
  /** Every setting as a flag. */
  readonly withSettings: (command: Command) => Command;
  readonly openBroker: (command: Command) => Promise<Broker>;
  readonly integerFrom: (minimum: number) => (text: string) => number;
  readonly streams: {
    readonly stdin: NodeJS.ReadStream;
    readonly stdout: NodeJS.WritableStream;
    readonly stderr: NodeJS.WritableStream;
  };
  readonly say: (text: string) => void;
  readonly complain: (text: string) => void;
  /** Has the process end with 1. */
  readonly fail: () => void;
  readonly record: RecordAudit;
  readonly by: string;
}

/** `millrace dead-letters` with what is below it. */
export function addDeadLetters(millrace: Command, context: DeadLettersContext): void {
  const { say, complain, fail, streams, record, by } = context;
  const group = millrace.command("dead-letters").description("What could not be processed, and why.");
  const add = (name: string, description: string, ids: "[ids...]" | "<ids...>") =>
    context
      .withSettings(group.command(name))
      .description(description)
      .argument(ids, "as `list` prints them, such as accountName:17")
      .addOption(new Option("--queue <name>", "only of this queue").choices(projectionNames))
      .option("--match <text>", "only those whose reason or body holds this text")
      .addOption(
        new Option("--older-than <days>", "only those that have been dead for longer").argParser(
          context.integerFrom(0),
        ),
      )
      .addOption(
        new Option("--limit <letters>", "at most so many, oldest first")
          .argParser(context.integerFrom(1))
          .default(name === "export" ? undefined : 100),
      );
  const withLetters = async (
    action: AuditAction,
    command: Command,
    work: (broker: Broker, about: About) => Promise<void>,
  ): Promise<void> => {
    await using broker = await context.openBroker(command);
    await audited(record, { action, by, from: undefined }, (about) => work(broker, about));
  };

  add("list", "Lists them, a line each.", "[ids...]").action((ids: string[], options, command: Command) =>
    withLetters("deadLetters.listed", command, async (broker, about) => {
      const found = select(broker.deadLetters, selectionOf(ids, options));
      say(listText(await Array.fromAsync(named(found, about), listedOf)));
    }),
  );
  add("show", "Prints them whole.", "<ids...>").action((ids: string[], options, command: Command) =>
    withLetters("deadLetters.shown", command, async (broker, about) => {
      const found = select(broker.deadLetters, selectionOf(ids, options));
      const letters = await Array.fromAsync(named(found, about));
      if (letters.length > 0) return say(showText(letters));
      complain(`no dead letter is called ${ids.join(" or ")}`);
      fail();
    }),
  );
  add("export", "Writes them as NDJSON, for `replay --repaired` once they are mended.", "[ids...]").action(
    (ids: string[], options, command: Command) =>
      withLetters("deadLetters.exported", command, async (broker, about) => {
        const letters = select(broker.deadLetters, selectionOf(ids, options));
        await writeLines(named(letters, about), streams.stdout);
      }),
  );
  const narrow = "Name them, or narrow all of them down by --queue, --match and --older-than.";
  add("replay", `Puts them back into their queues. ${narrow}`, "[ids...]")
    .option("--yes", "do not ask")
    .addOption(
      new Option(
        "--repaired <file>",
        "those that the lines of `export` in this file name, each with the body and contentType of its line; - for standard input",
      ).conflicts(["queue", "match", "olderThan", "limit"]),
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
      const lines = await bytesOf(file, streams.stdin);
      await using broker = await context.openBroker(command);
      const accepted = options.force === true ? "any" : "readable";
      const { letters, faults } = await repairedLetters(broker.deadLetters, lines, accepted);
      if (faults.length === 0) return await settleAsking("replay", broker, letters, options);
      for (const { line, reason } of faults) complain(`line ${line}: ${reason}`);
      say("nothing done");
      fail();
    });
  add("drop", `Deletes them for good. ${narrow}`, "[ids...]")
    .option("--yes", "do not ask")
    .action((ids: string[], options, command: Command) => settleSelected("drop", ids, options, command));

  async function settleSelected(
    action: "replay" | "drop",
    ids: readonly string[],
    options: Chosen & Asking,
    command: Command,
  ): Promise<void> {
    await using broker = await context.openBroker(command);
    const letters = await Array.fromAsync(select(broker.deadLetters, selectionOf(ids, options)), listedOf);
    await settleAsking(action, broker, letters, options);
  }

  async function settleAsking(
    action: "replay" | "drop",
    { deadLetters }: Broker,
    letters: readonly ToSettle[],
    { yes }: Asking,
  ): Promise<void> {
    const terminal = yes === true ? undefined : { input: streams.stdin, output: streams.stderr };
    const deed = action === "drop" ? "deadLetters.dropped" : "deadLetters.replayed";
    await audited(record, { action: deed, by, from: undefined }, async (about) => {
      for (const letter of letters) about.name(nameOf(letter));
      const { text, settled } = await settle({ action, deadLetters, letters, terminal });
      about.settled = settled;
      say(text);
    });
  }
}

interface Asking {
  readonly yes?: true;
}

async function* named(letters: AsyncIterable<DeadLetter>, about: About): AsyncGenerator<DeadLetter> {
  for await (const letter of letters) {
    about.name(nameOf(letter));
    yield letter;
  }
}

interface Chosen extends Partial<Pick<Selection, "queue" | "match" | "limit">> {
  /** In days. */
  readonly olderThan?: number;
}

function selectionOf(ids: readonly string[], options: Chosen): Selection {
  const { queue, match, olderThan, limit } = options;
  return {
    queue,
    match,
    deadBeforeMs: olderThan === undefined ? undefined : Date.now() - olderThan * DAY_MS,
    limit: limit ?? Number.POSITIVE_INFINITY,
    ids: new Set(ids),
  };
}
