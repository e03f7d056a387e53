import type { QueueFigures } from "./decide.ts";

/** Where the management API is and as whom it is asked. Two scalers with equal ones share its answers. */
export interface BrokerAddress {
  /** Without credentials; ends with a slash. */
  readonly url: string;
  readonly username: string;
  readonly password: string;
  /** Certificates in PEM that the server's is checked against; undefined for those of the system. */
  readonly ca: string | undefined;
}

export interface QueueId {
  readonly vhost: string;
  readonly name: string;
  /** Also read, if it is there. */
  readonly deadLetterQueue: string;
}

/** Why there are no figures; each is a reason of the condition BrokerReachable or Ready. */
export type FiguresFault =
  | "Unreachable"
  | "Unauthorized"
  | "QueueNotFound"
  | "VhostNotFound"
  | "NotUnderstood";

/** `at` is when the broker answered, in milliseconds since 1970. */
export type Reading =
  | { readonly ok: true; readonly at: number; readonly figures: QueueFigures }
  | {
      readonly ok: false;
      readonly at: number;
      readonly fault: FiguresFault;
      /** A sentence that says what to mend; without a secret. */
      readonly message: string;
    };

export interface BrokerFigures {
  /**
   * What the broker says of the queue, at most `maxAgeMs` old. All who ask about queues of one broker share one request at a
   * time. Never rejects; a broker that does not answer within its bounded wait is a fault.
   */
  read(broker: BrokerAddress, queue: QueueId, maxAgeMs: number): Promise<Reading>;
}
