/** Which trace a request or a message belongs to, as W3C Trace Context writes it: https://www.w3.org/TR/trace-context/ */
export interface TraceContext {
  /** Version 00, 55 characters. */
  readonly traceparent: string;
  readonly tracestate: string | undefined;
}

const form = /^(?!ff)([\da-f]{2})(-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2})(-.*)?$/;
/** Later versions may be longer than the first, which has 55 characters. */
const PARENT_MAX = 256;
/** What everybody must be able to pass on; a longer one may be left out. */
const STATE_MAX = 512;

/** Takes the two headers as they came; undefined where the first is missing or is not of the standard's form. */
export function traceContextOf(traceparent: unknown, tracestate: unknown): TraceContext | undefined {
  if (typeof traceparent !== "string" || traceparent.length > PARENT_MAX) return undefined;
  const [, version, rest = "", more] = form.exec(traceparent) ?? [];
  if (version === undefined || (version === "00" && more !== undefined)) return undefined;
  return { traceparent: `00${rest}`, tracestate: stateOf(tracestate) };
}

function stateOf(tracestate: unknown): string | undefined {
  const fits = typeof tracestate === "string" && tracestate.length <= STATE_MAX;
  return fits && /^[\x20-\x7e]+$/.test(tracestate) ? tracestate : undefined;
}
