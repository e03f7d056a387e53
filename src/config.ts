import { readFileSync } from "node:fs";
import { MillraceError } from "./errors.ts";
import {
  type Config,
  flagOf,
  type Setting,
  type SettingName,
  settingNames,
  settings,
  variableOf,
} from "./settings.ts";

/** Variables of ours that are no settings. */
const otherVariables = /^MILLRACE_(WRITE_KEY|TEST_\w+|PARTS_CACHE)$/;

/**
 * Defaults, then the environment, then flags; checked whole. A secret also comes from the file that `<VARIABLE>_FILE` names.
 * An empty variable counts as unset.
 * @throws MillraceError INVALID_SETTING, with a line for each fault.
 */
export function readConfig(
  environment: Readonly<Record<string, string | undefined>>,
  flags: Readonly<Partial<Record<SettingName, string>>>,
): Config {
  const faults = unknownVariables(environment);
  const config: Record<string, unknown> = {};
  for (const name of settingNames) {
    const one: Setting<unknown> = settings[name];
    const from = flags[name] === undefined ? variableOf(name) : flagOf(name);
    try {
      const text = flags[name] ?? textOf(name, environment);
      const value = text === undefined ? one.default : one.read(text);
      if (value === undefined) {
        const given = one.secret ? "***" : JSON.stringify(withoutPassword(text ?? ""));
        faults.push(`${from} is ${given}; it must be ${one.allowed}`);
      }
      config[name] = value;
    } catch (cause) {
      faults.push(
        `${variableOf(name)}_FILE cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`,
      );
    }
  }
  if (faults.length > 0) throw new MillraceError("INVALID_SETTING", faults.join("\n"));
  return Object.freeze(config) as Config;
}

function textOf(
  name: SettingName,
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const file = environment[`${variableOf(name)}_FILE`];
  if (settings[name].secret && file !== undefined && file !== "") return readFileSync(file, "utf8").trim();
  const text = environment[variableOf(name)];
  return text === "" ? undefined : text;
}

function unknownVariables(environment: Readonly<Record<string, string | undefined>>): string[] {
  const known = new Set(
    settingNames.flatMap((name) => {
      const variable = variableOf(name);
      return settings[name].secret ? [variable, `${variable}_FILE`] : [variable];
    }),
  );
  return Object.keys(environment)
    .filter((key) => key.startsWith("MILLRACE_") && !known.has(key) && !otherVariables.test(key))
    .map((key) => `${key} is not a setting; see \`millrace config\` for those there are`);
}

/** Any setting that is an address may have been given one with user and password. */
const withoutPassword = (text: string): string =>
  text.replaceAll(/(^|,|\/\/)([^:/?#@,]*):[^/?#]*@/g, "$1$2:***@");

/** The effective values as text, with secrets that were set shown as ***, and so the passwords in addresses. */
export function shownConfig(
  config: Config,
): readonly { readonly name: SettingName; readonly value: string }[] {
  return settingNames.map((name) => {
    const value = config[name];
    const text = Array.isArray(value) ? value.join(",") : String(value);
    const masked = settings[name].secret && value !== settings[name].default;
    return { name, value: masked ? "***" : withoutPassword(text) };
  });
}
