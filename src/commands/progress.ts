import { styleText } from "node:util";
import type { Tally } from "./send-report.ts";

/** A stream that may be a terminal. */
export type Terminal = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

const REDRAW_MS = 100;
const BAR_WIDTH = 24;
const CLEAR_TO_END = "\u001B[K";

/** Draws a line on a terminal until the returned function is called; draws nothing elsewhere, in CI and on a dumb terminal. */
export function showLine(
  terminal: Terminal,
  environment: Readonly<Record<string, string | undefined>>,
  look: () => string,
  styled: (line: string) => string = (line) => line,
): () => void {
  const ci = environment["CI"] ?? "";
  if (terminal.isTTY !== true || environment["TERM"] === "dumb" || (ci !== "" && ci !== "false")) {
    return () => {};
  }
  const draw = (): void => {
    // A line that wraps could not be drawn over.
    const shown = look().slice(0, (terminal.columns ?? 80) - 1);
    terminal.write(`\r${styled(shown)}${CLEAR_TO_END}`);
  };
  const timer = setInterval(draw, REDRAW_MS);
  return () => {
    clearInterval(timer);
    terminal.write(`\r${CLEAR_TO_END}`);
  };
}

/** The same, of a line with a bar at its front. */
export function showProgress(
  terminal: Terminal,
  environment: Readonly<Record<string, string | undefined>>,
  look: () => { readonly tally: Tally; readonly totalBytes: number | undefined },
): () => void {
  const startedMs = performance.now();
  const line = (): string => {
    const { tally, totalBytes } = look();
    return progressLine(tally, totalBytes, (performance.now() - startedMs) / 1000);
  };
  return showLine(terminal, environment, line, (shown) => {
    const length = barLength(look().totalBytes);
    return styleText("cyan", shown.slice(0, length), { stream: terminal }) + shown.slice(length);
  });
}

function barLength(totalBytes: number | undefined): number {
  return totalBytes === undefined ? 0 : BAR_WIDTH;
}

/** The bar and its figures as plain text; without a known size, how much was read in place of the bar. */
export function progressLine(tally: Tally, totalBytes: number | undefined, seconds: number): string {
  const rate = seconds === 0 ? 0 : Math.round(tally.accepted / seconds);
  const figures = `${rate} events/s  ${tally.accepted} accepted  ${tally.rejected} rejected  ${tally.retries} retries`;
  if (totalBytes === undefined) return `${mebibytes(tally.bytesRead)} MiB  ${figures}`;
  const share = totalBytes === 0 ? 1 : Math.min(1, tally.bytesRead / totalBytes);
  const full = Math.round(share * BAR_WIDTH);
  const bar = "█".repeat(full) + "░".repeat(BAR_WIDTH - full);
  const percent = `${Math.floor(share * 100)}%`.padStart(4);
  return `${bar} ${percent} of ${mebibytes(totalBytes)} MiB  ${figures}`;
}

function mebibytes(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(1);
}
