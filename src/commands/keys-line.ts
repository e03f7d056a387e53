import { type Command, InvalidArgumentError, Option } from "commander";
import type { RecordAudit } from "../domain/audit.ts";
import { type Access, accesses, MAX_RATE } from "../domain/key.ts";
import { MillraceError } from "../errors.ts";
import type { KeyPlace } from "../ports/keys.ts";
import { variableOf } from "../settings.ts";
import { newKey } from "./key.ts";
import { createKey, type KeyDesk, listKeys, revoke, rotate } from "./keys.ts";

/** A Secret of Kubernetes. */
export interface SecretName {
  readonly namespace: string;
  readonly name: string;
}
export interface KeysContext {
  /** Every setting as a flag. */
  readonly withSettings: (command: Command) => Command;
  /** What `keysFile` is set to; empty where it is not. */
  readonly keysFileOf: (command: Command) => string;
  readonly openFile: (path: string) => KeyPlace;
  readonly openSecret: (secret: SecretName) => Promise<KeyPlace & Disposable>;
  readonly say: (text: string) => void;
  /** For what is not the result. */
  readonly tell: (text: string) => void;
  readonly record: RecordAudit;
  readonly by: string;
}

interface Place {
  readonly secret?: SecretName;
}
interface CreateOptions extends Place {
  readonly name: string;
  readonly access: readonly Access[];
  readonly expiresIn?: number;
  readonly rateLimit?: number;
  readonly quota?: number;
}
interface RotateOptions extends Place {
  readonly overlap: number;
  readonly expiresIn?: number;
}

/** `millrace keys` with what is below it, and `millrace key`. */
export function addKeys(millrace: Command, context: KeysContext): void {
  const { say, tell } = context;
  const group = millrace.command("keys").description("Who may write, read, and see to dead letters.");
  const add = (name: string, description: string): Command =>
    context
      .withSettings(group.command(name))
      .description(description)
      .option(
        "--secret <namespace/name>",
        "the keys are in this Secret of Kubernetes, and not in the file of --keys-file",
        secretOf,
      );
  const handOver = (key: string, name: string): void => {
    tell(`the key of ${name} is shown this once; its hash alone is kept`);
    say(key);
  };

  add("create", "Makes a key, and prints it.")
    .requiredOption("--name <name>", "whose it is, as logs and `list` tell it")
    .requiredOption("--access <kinds>", `what it allows: ${accesses.join(", ")}, parted by commas`, accessOf)
    .option(
      "--expires-in <duration>",
      "how long it does, such as 90d, 12h or 30m; for ever without",
      durationOf,
    )
    .option("--rate-limit <requests>", "most requests a second of one process", integerTo(MAX_RATE))
    .option("--quota <events>", "most events a UTC day of one collector", integerTo(Number.MAX_SAFE_INTEGER))
    .action(async (options: CreateOptions, command: Command) => {
      const { name, access, expiresIn: lifeMs, rateLimit: ratePerSecond, quota: eventsPerDay } = options;
      const wanted = { name, access, lifeMs, ratePerSecond, eventsPerDay };
      handOver(await at(context, options, command, (desk) => createKey(desk, wanted)), name);
    });
  add("list", "Lists them, a line each.")
    .addOption(new Option("--format <format>", "table or json").choices(["table", "json"]).default("table"))
    .action(async (options: Place & { readonly format: "table" | "json" }, command: Command) =>
      say(await at(context, options, command, (desk) => listKeys(desk, options.format))),
    );
  add("revoke", "Takes the keys of a name away, for good.")
    .argument("<name>", "as `list` prints it")
    .action(async (name: string, options: Place, command: Command) => {
      await at(context, options, command, (desk) => revoke(desk, name));
      tell(`${name} is revoked: servers refuse it once they have read the keys again`);
    });
  add("rotate", "Makes another key of the same name, access and limits, and prints it.")
    .argument("<name>", "as `list` prints it")
    .option(
      "--overlap <duration>",
      "how long those of before still do, such as 24h; 0 for no longer",
      durationOf,
      DAY_MS,
    )
    .option("--expires-in <duration>", "how long it does; as long as the one before without", durationOf)
    .action(async (name: string, options: RotateOptions, command: Command) => {
      const rotation = { name, overlapMs: options.overlap, lifeMs: options.expiresIn };
      handOver(await at(context, options, command, (desk) => rotate(desk, rotation)), name);
    });

  millrace
    .command("key")
    .description(
      "Makes a key that may write, and the hash that a setting takes; `keys` does without the setting.",
    )
    .action(() => {
      const { key, hash } = newKey();
      say(`key (for the client, shown once): ${key}\nhash (for ${variableOf("writeKeyHashes")}): ${hash}`);
    });
}

async function at<T>(
  context: KeysContext,
  { secret }: Place,
  command: Command,
  work: (desk: KeyDesk) => Promise<T>,
): Promise<T> {
  const { by, record } = context;
  const desk = { by, record, nowMs: Date.now() };
  if (secret !== undefined) {
    using place = await context.openSecret(secret);
    return await work({ ...desk, place, placeName: `Secret ${secret.namespace}/${secret.name}` });
  }
  const file = context.keysFileOf(command);
  if (file === "") {
    const detail = `say where the keys are: --keys-file (${variableOf("keysFile")}), or --secret`;
    throw new MillraceError("INVALID_SETTING", detail);
  }
  return await work({ ...desk, place: context.openFile(file), placeName: file });
}

function accessOf(text: string): readonly Access[] {
  const words = text.split(",").map((word) => word.trim());
  const found = accesses.filter((one) => words.includes(one));
  if (found.length === words.length) return found;
  throw new InvalidArgumentError(`It must be one or more of ${accesses.join(", ")}, parted by commas.`);
}

const DAY_MS = 86_400_000;
const units = { s: 1000, m: 60_000, h: 3_600_000, d: DAY_MS } as const;
/** Ten years: an instant beyond the year 9999 could not be written down. */
const MAX_MS = 3650 * DAY_MS;

function durationOf(text: string): number {
  const [, number, unit] = /^(\d{1,9})([smhd])$/.exec(text === "0" ? "0s" : text) ?? [];
  const ms = Number(number) * units[(unit ?? "s") as keyof typeof units];
  if (ms <= MAX_MS) return ms;
  throw new InvalidArgumentError(
    "It must be a whole number of s, m, h or d, such as 90d, and at most 3650d.",
  );
}

function integerTo(maximum: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= 1 && value <= maximum) return value;
    throw new InvalidArgumentError(`It must be an integer from 1 to ${maximum}.`);
  };
}

function secretOf(text: string): SecretName {
  const [, namespace, name] = /^([a-z0-9][a-z0-9-]{0,62})\/([a-z0-9][a-z0-9.-]{0,252})$/.exec(text) ?? [];
  if (namespace !== undefined && name !== undefined) return { namespace, name };
  throw new InvalidArgumentError("It must be NAMESPACE/NAME, such as millrace/millrace-keys.");
}
