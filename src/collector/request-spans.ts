import type { FastifyInstance, FastifyRequest } from "fastify";
import { traceContextOf } from "../domain/trace-context.ts";
import type { Span, Tracer } from "../ports/tracer.ts";

/** Makes a span of every request to the routes of `scope`, within the caller's trace where it names one. */
export function traceRequests(
  scope: FastifyInstance,
  tracer: Tracer,
): (request: FastifyRequest) => Span | undefined {
  const spans = new WeakMap<FastifyRequest, Span>();
  scope.addHook("onRequest", (request, _reply, done) => {
    const { traceparent, tracestate } = request.headers;
    const work = { kind: "request", method: request.method, route: request.routeOptions.url ?? "" } as const;
    spans.set(request, tracer.start(work, { parent: traceContextOf(traceparent, tracestate) }));
    done();
  });
  scope.addHook("onResponse", (request, reply, done) => {
    spans.get(request)?.end({ status: reply.statusCode });
    done();
  });
  return (request) => spans.get(request);
}
