import type { Command } from "commander";
import type { BackupSource, RestoreTarget } from "../ports/backup.ts";
import type { Shown } from "./backup.ts";

/** What the commands use of the program. */
export interface BackupParts extends Shown {
  readonly withSettings: (command: Command) => Command;
  readonly openSource: (command: Command) => Promise<BackupSource>;
  readonly openTarget: (command: Command) => Promise<RestoreTarget>;
  readonly say: (text: string) => void;
  readonly version: string;
}

export function addBackup(millrace: Command, parts: BackupParts): void {
  const { withSettings, openSource, openTarget, say, version } = parts;
  withSettings(millrace.command("backup"))
    .description("Writes all that the store keeps to a file, while the system goes on.")
    .argument("<file>", "must not be there yet; it has this name once it is whole")
    .option("--verify", "read the file instead, and tell whether it is a backup that is whole")
    .action(async (file: string, options, command: Command) => {
      const { backup, verify } = await import("./backup.ts");
      if (options.verify === true) return say(await verify(file, parts));
      await using source = await openSource(command);
      return say(await backup(source, { path: file, millrace: version, nowMs: Date.now() }, parts));
    });
  withSettings(millrace.command("restore"))
    .description("Verifies a backup and takes it into an empty store, of which no process is at work.")
    .argument("<file>", "as `millrace backup` wrote it")
    .action(async (file: string, _options, command: Command) => {
      const { restore } = await import("./backup.ts");
      say(await restore(() => openTarget(command), file, parts));
    });
}
