/** How long each step took goes to stderr; that it has begun too, where a person watches. */
const watched =
  process.stderr.isTTY && process.env["CI"] === undefined && process.env["NO_COLOR"] === undefined;

/** Runs the work, and tells its name and its seconds. */
export async function step<T>(name: string, work: () => Promise<T>): Promise<T> {
  const begun = Date.now();
  if (watched) process.stderr.write(`\u001B[2m  …  ${name}\u001B[22m\n`);
  try {
    const result = await work();
    tell(name, begun, watched ? "\u001B[32mdone\u001B[39m" : "done");
    return result;
  } catch (error) {
    tell(name, begun, watched ? "\u001B[31mfailed\u001B[39m" : "failed");
    throw error;
  }
}

export function note(text: string): void {
  process.stderr.write(`kind: ${text}\n`);
}

function tell(name: string, begun: number, end: string): void {
  const seconds = ((Date.now() - begun) / 1000).toFixed(1);
  process.stderr.write(`kind: ${name}: ${end} after ${seconds} s\n`);
}
