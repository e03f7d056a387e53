import type { Command } from "commander";
import { maskOf } from "../domain/diagnosis.ts";
import { MillraceError } from "../errors.ts";
import type { Check } from "../ports/check.ts";
import { type Config, settingNames, settings } from "../settings.ts";

/** What the command uses of the program. */
export interface DoctorParts {
  readonly withSettings: (command: Command) => Command;
  readonly configOf: (command: Command) => Config;
  readonly checksOf: (
    config: Config,
    timeoutMs: number,
    parts: AsyncDisposableStack,
  ) => Promise<readonly Check[]>;
  readonly integerFrom: (minimum: number) => (text: string) => number;
  readonly say: (text: string) => void;
  /** Ends the process with this code, whatever is still under way: a server that hangs must not hold it. */
  readonly exit: (code: number) => void;
  readonly version: string;
}

/** Longest time of one check, in milliseconds. */
const TIMEOUT_MS = 5000;

export function addDoctor(millrace: Command, parts: DoctorParts): void {
  parts
    .withSettings(millrace.command("doctor"))
    .description("Checks broker, store, clock and this machine, and says what to do. Ends with 1 at a fault.")
    .option("--json", "print it as JSON")
    .option(
      "--timeout-ms <ms>",
      "longest time of one check, in milliseconds",
      parts.integerFrom(100),
      TIMEOUT_MS,
    )
    .exitOverride((error) => {
      // A fault that was found is told from a call that is wrong.
      if (error.exitCode !== 0) error.exitCode = 2;
      throw error;
    })
    .action(async (options, command: Command) => {
      const { examine, report, reportJson, worstOf } = await import("./doctor.ts");
      await using opened = new AsyncDisposableStack();
      const { checks, mask } = await checksFor(command, options.timeoutMs, parts, opened);
      const results = await examine(checks, options.timeoutMs, mask);
      parts.say(options.json === true ? reportJson(results, parts.version) : report(results));
      parts.exit(worstOf(results) === "fault" ? 1 : 0);
    });
}

/** Settings that cannot be read are the one finding there is then. */
async function checksFor(
  command: Command,
  timeoutMs: number,
  { configOf, checksOf }: DoctorParts,
  opened: AsyncDisposableStack,
) {
  try {
    const config = configOf(command);
    return { checks: await checksOf(config, timeoutMs, opened), mask: maskOf(secretsIn(config)) };
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== "INVALID_SETTING") throw error;
    const check: Check = {
      name: "settings",
      run: () => Promise.reject(error),
      todo: "set them as allowed; `millrace config --help` lists all settings",
    };
    return { checks: [check], mask: (text: string) => text };
  }
}

/** Values of secrets that somebody has set, and whatever else has a password in it. */
export function secretsIn(config: Config): readonly string[] {
  return settingNames.flatMap((name) => {
    const value: unknown = config[name];
    const texts = (Array.isArray(value) ? value : [value]).map(String);
    const isSecret = settings[name].secret && value !== settings[name].default;
    return isSecret ? texts : texts.filter((text) => /^[a-z+]+:\/\/[^/]*@/.test(text));
  });
}
