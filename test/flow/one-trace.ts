import type { ReceivedSpan } from "../adapters/otlp-receiver.ts";

/** The spans below one, by their names, each with those below it. */
export interface Tree {
  readonly [name: string]: Tree;
}

export function traceOf(spans: readonly ReceivedSpan[], parentId: string): Tree {
  const below = spans.filter((span) => span.parentId === parentId);
  return Object.fromEntries(below.map((span) => [span.name, traceOf(spans, span.spanId)]));
}
