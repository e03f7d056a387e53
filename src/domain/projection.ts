import type { Envelope } from "./envelope.ts";
import type { HourlyEntry } from "./hourly-log.ts";
import type { DayCount } from "./distinct-name.ts";
import type { Sighting } from "./account-name.ts";

/** The views of the events, named like the queues that feed them. */
export const projectionNames = ["accountName", "distinctName", "hourlyLog"] as const;
export type ProjectionName = (typeof projectionNames)[number];

/** What one message does to one view: a partial aggregate, applied once by its message id. */
export type Change =
  | {
      readonly projection: "accountName";
      readonly messageId: string;
      readonly sightings: readonly Sighting[];
    }
  | { readonly projection: "distinctName"; readonly messageId: string; readonly counts: readonly DayCount[] }
  | {
      readonly projection: "hourlyLog";
      readonly messageId: string;
      readonly entries: readonly HourlyEntry[];
    };

export interface Projection {
  readonly name: ProjectionName;
  /** False where folding the same event twice changes nothing, so that its id need not be claimed. */
  readonly claimsEventIds: boolean;
  fold(envelope: Envelope): Change;
}
