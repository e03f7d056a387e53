import { parseArgs, type ParseArgsConfig } from "node:util";
import { PartMissing } from "../test/parts/part.ts";

/** Those of every command. */
export const nameOption = { name: { type: "string", default: "millrace" } } as const;

/** Runs a command with its options. What is wrong with these, or missing on this machine, is said without a stack. */
export async function runCommand<T extends ParseArgsConfig>(
  config: T,
  run: (values: ReturnType<typeof parseArgs<T>>["values"]) => Promise<void>,
): Promise<void> {
  try {
    const { values } = parseArgs<T>(config);
    await run(values);
  } catch (error) {
    const known = error instanceof PartMissing || (error instanceof TypeError && "code" in error);
    process.stderr.write(`kind: ${known || !(error instanceof Error) ? String(error) : error.stack}\n`);
    process.exitCode = 1;
  }
}

export function portOf(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new PartMissing(`${text} is no port`);
  return port;
}
