import type { CheckName, Finding } from "../domain/diagnosis.ts";

export interface Check {
  readonly name: CheckName;
  /** Made only where that one has no fault. */
  readonly after?: CheckName;
  /** A rejection is a fault too. Whoever asks stops waiting when `stop` is aborted, and tells that there was no answer. */
  run(stop: AbortSignal): Promise<Finding>;
  /** What to do where it rejects or there is no answer. */
  readonly todo: string;
}

/** A clock that is not this machine's. */
export interface ClockSource {
  /** Whose it is, such as `the store`. */
  readonly of: string;
  /** Milliseconds since 1970, to within `withinMs` downwards; undefined where it is not told. */
  read(stop: AbortSignal): Promise<{ readonly atMs: number; readonly withinMs: number } | undefined>;
}
