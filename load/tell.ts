/** The report goes to stdout, and all else to stderr. */
export function tell(text: string): void {
  process.stderr.write(`load: ${text}\n`);
}
