import type { IncomingMessage } from "node:http";

/**
 * The lines of an answer as they come in, without their ends; what follows the last end is left out.
 *
 * @param heard - is called for all that comes in, also for less than a line.
 */
export async function* linesOf(answer: IncomingMessage, heard: () => void): AsyncIterable<string> {
  let begun = "";
  heard();
  for await (const chunk of answer.setEncoding("utf8") as AsyncIterable<string>) {
    heard();
    let from = 0;
    for (let end = chunk.indexOf("\n"); end >= 0; end = chunk.indexOf("\n", from)) {
      yield begun + chunk.slice(from, end);
      begun = "";
      from = end + 1;
    }
    begun += chunk.slice(from);
  }
}
