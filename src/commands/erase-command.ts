import type { Command } from "commander";
import { audited, type RecordAudit } from "../domain/audit.ts";
import { isName } from "../domain/event.ts";
import { MillraceError } from "../errors.ts";
import type { Erasure } from "../ports/erasure.ts";
import type { Terminal } from "./confirmed.ts";

/** What the command uses of the program. */
export interface EraseParts {
  readonly withSettings: (command: Command) => Command;
  readonly openErasure: (command: Command) => Promise<Erasure>;
  readonly integerFrom: (minimum: number) => (text: string) => number;
  readonly terminal: Terminal;
  readonly record: RecordAudit;
  readonly by: string;
  readonly say: (text: string) => void;
  /** Has the process end with 1. */
  readonly fail: () => void;
}

const LIMIT_SECONDS = 120;

export function addErase(millrace: Command, parts: EraseParts): void {
  const { withSettings, openErasure, terminal, record, by, say, fail } = parts;
  withSettings(millrace.command("erase"))
    .description(
      "Erases every trace of a user, while the system goes on: views, queues, dead letters, files.",
    )
    .argument("<username>", "as the events have it, to the letter")
    .option("--yes", "do not ask")
    .option("--json", "tell what was erased as JSON")
    .option(
      "--limit <seconds>",
      "begin no further round after so long, while events of the user keep coming in",
      parts.integerFrom(1),
      LIMIT_SECONDS,
    )
    .action(async (username: string, options, command: Command) => {
      if (!isName(username))
        throw new MillraceError("INVALID_SETTING", "<username> is none that an event may have");
      const { erase, eraseText, isProven } = await import("./erase.ts");
      const { confirmed } = await import("./confirmed.ts");
      await using erasure = await openErasure(command);
      if (options.yes !== true && !(await confirmed("erase this user for good?", terminal)))
        return say("nothing done");
      const report = await audited(record, { action: "user.erased", by, from: undefined }, (about) =>
        erase(erasure, { username, limitMs: options.limit * 1000 }, about),
      );
      say(options.json === true ? JSON.stringify(report) : eraseText(report));
      if (!isProven(report)) fail();
    });
}
