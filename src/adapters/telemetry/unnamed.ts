import { asMillraceError, errorTable } from "../../errors.ts";

/** An error of a message, for a log: where it arose and what kind it is. */
export interface Unnamed {
  readonly code: string;
  readonly title: string;
  /** Where it was thrown, and what caused it, frame by frame. */
  readonly at: readonly string[];
}

/**
 * An error without its words: those of a message that cannot be read or applied quote it, and so may tell a username. They are the
 * reason of its dead letter, from where they can be erased; from a log they cannot.
 */
export function unnamed(thrown: unknown): Unnamed | undefined {
  if (thrown === undefined) return undefined;
  const { code } = asMillraceError(thrown, "INTERNAL");
  const at: string[] = [];
  for (let error: unknown = thrown; error instanceof Error; error = error.cause) at.push(...framesOf(error));
  return { code, title: errorTable[code].title, at };
}

/** What comes after the message, which may look like a frame itself. */
function framesOf({ stack = "", message }: Error): readonly string[] {
  const start = stack.indexOf(message);
  if (start < 0) return [];
  const lines = stack.slice(start + message.length).split("\n");
  return lines.filter((line) => /^\s+at /.test(line)).map((line) => line.trim());
}
