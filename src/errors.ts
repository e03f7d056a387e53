/**
 * Every error once. `status` is what an HTTP client is told; `retry` is a fact of the error: "later" may succeed
 * unchanged, "never" will not. Clients may rely on the code; docs/errors.md is generated from this table.
 */
export const errorTable = {
  INVALID_EVENT: { status: 400, retry: "never", title: "The event is not valid" },
  MALFORMED_BODY: { status: 400, retry: "never", title: "The body cannot be read" },
  MALFORMED_REQUEST: { status: 400, retry: "never", title: "The request is not well-formed HTTP" },
  INVALID_URL: { status: 400, retry: "never", title: "The URL cannot be read" },
  INVALID_QUERY: { status: 400, retry: "never", title: "A query parameter is not valid" },
  INVALID_BODY: { status: 400, retry: "never", title: "The body is not what this route takes" },
  INVALID_HEADER: { status: 400, retry: "never", title: "A header is not valid" },
  KEY_MISSING: { status: 401, retry: "never", title: "A key is needed" },
  KEY_REFUSED: { status: 403, retry: "never", title: "The key is refused" },
  CROSS_SITE: { status: 403, retry: "never", title: "The request comes from a page of another site" },
  NOT_FOUND: { status: 404, retry: "never", title: "There is nothing here" },
  METHOD_NOT_ALLOWED: { status: 405, retry: "never", title: "The method is not allowed here" },
  BODY_TIMEOUT: { status: 408, retry: "later", title: "The request took too long to arrive" },
  BODY_TOO_LARGE: { status: 413, retry: "never", title: "The body is too large" },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    retry: "never",
    title: "The content type or encoding is not supported",
  },
  HOST_REFUSED: { status: 421, retry: "never", title: "The request names another host" },
  EXPECTATION_FAILED: { status: 417, retry: "never", title: "The expectation cannot be met" },
  RATE_LIMITED: { status: 429, retry: "later", title: "Too many requests" },
  QUOTA_EXCEEDED: { status: 429, retry: "later", title: "The key's events of the day are used up" },
  INTERNAL: { status: 500, retry: "later", title: "Something unforeseen went wrong" },
  OVERLOADED: { status: 503, retry: "later", title: "Too much is in hand; try again later" },
  COLLECTOR_UNAVAILABLE: { status: 503, retry: "later", title: "The collector cannot be reached" },
  PUBLISH_UNCONFIRMED: { status: 503, retry: "later", title: "The broker has not confirmed in time" },
  BROKER_UNAVAILABLE: { status: 503, retry: "later", title: "The broker cannot be reached or cannot write" },
  BROKER_FULL: { status: 503, retry: "later", title: "The broker's backlog is at its limit" },
  STORE_UNAVAILABLE: { status: 503, retry: "later", title: "The store cannot be reached or cannot write" },
  MESSAGE_UNREADABLE: { status: 500, retry: "never", title: "The message is not an envelope of events" },
  MESSAGE_TOO_NEW: { status: 500, retry: "later", title: "The message is of a later version of Millrace" },
  CHANGE_REFUSED: { status: 500, retry: "never", title: "The store refuses this change for good" },
  BROKER_MISMATCH: { status: 500, retry: "never", title: "The broker is not as Millrace needs it" },
  STORE_MISMATCH: { status: 500, retry: "never", title: "The store is not as Millrace needs it" },
  INVALID_KEYS: { status: 500, retry: "never", title: "The keys cannot be read or changed" },
  STORE_NOT_EMPTY: { status: 500, retry: "never", title: "A backup is restored into an empty store alone" },
  BACKUP_DAMAGED: { status: 500, retry: "never", title: "The backup is damaged or not whole" },
  BACKUP_MISMATCH: { status: 500, retry: "never", title: "The backup is not one for this" },
  INVALID_SETTING: { status: 500, retry: "never", title: "A setting is not valid" },
} as const satisfies Record<string, ErrorFacts>;

export interface ErrorFacts {
  readonly status: number;
  readonly retry: "later" | "never";
  readonly title: string;
}
export type ErrorCode = keyof typeof errorTable;

/** One thing wrong with what a client sent. `pointer` is a JSON pointer (RFC 6901) into it. */
export interface Fault {
  readonly pointer: string;
  readonly detail: string;
}

/** The pointer to a field, whose name a client chose: cut, so that it stays short. */
export function pointerTo(field: string): string {
  return `/${field.slice(0, 128).toWellFormed().replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

export class MillraceError extends Error {
  readonly code: ErrorCode;
  /** One sentence on this case, fit for the client; undefined where the title says it all. */
  readonly detail: string | undefined;
  readonly faults: readonly Fault[];

  constructor(code: ErrorCode, detail?: string, options: ErrorOptions & { faults?: readonly Fault[] } = {}) {
    super(detail === undefined ? errorTable[code].title : `${errorTable[code].title}: ${detail}`, options);
    this.name = "MillraceError";
    this.code = code;
    this.detail = detail;
    this.faults = options.faults ?? [];
  }

  get facts(): ErrorFacts {
    return errorTable[this.code];
  }
}

/** Anything thrown, as one of ours: what is not a MillraceError becomes `code` with the original as its cause. */
export function asMillraceError(thrown: unknown, code: ErrorCode): MillraceError {
  if (thrown instanceof MillraceError) return thrown;
  return new MillraceError(code, thrown instanceof Error ? thrown.message : String(thrown), {
    cause: thrown,
  });
}
