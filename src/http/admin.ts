import fastify, { type FastifyInstance } from "fastify";
import { type HostRules, refuseOtherHosts } from "./host.ts";
import { noSniffing } from "./problem.ts";

export interface AdminParts {
  /** Prometheus text, and its content type. */
  readonly metrics: () => Promise<{ readonly text: string; readonly contentType: string }>;
  /** What this process needs to do its job; each rejects with the reason why it cannot. */
  readonly checks: Readonly<Record<string, () => Promise<void>>>;
  /** What is wrong though this process can do its job; each answers undefined where nothing is. */
  readonly warnings?: Readonly<Record<string, () => string | undefined>>;
  readonly stop: AbortSignal;
  readonly hosts: HostRules;
}

/** A check that takes longer than this counts as failed, in milliseconds. */
const CHECK_TIMEOUT_MS = 2000;

/** /metrics, /healthz (alive) and /readyz (can do its job now), on a port of their own. */
export function createAdmin({ metrics, checks, warnings = {}, stop, hosts }: AdminParts): FastifyInstance {
  const server = fastify({ logger: false, requestTimeout: 10_000 });
  server.addHook("onRequest", (_request, reply, done) => {
    void reply.header(...noSniffing);
    done();
  });
  refuseOtherHosts(server, hosts);
  server.get("/metrics", async (_request, reply) => {
    const { text, contentType } = await metrics();
    return reply.header("content-type", contentType).send(text);
  });
  server.get("/healthz", () => ({ status: "ok" }));
  server.get("/readyz", async (_request, reply) => {
    const results = await Promise.all(
      Object.entries(checks).map(async ([name, check]) => [name, await resultOf(check)] as const),
    );
    if (stop.aborted) results.push(["stopping", "this process is stopping"]);
    const ready = results.every(([, result]) => result === "ok");
    const wrong = Object.entries(warnings).flatMap(([name, warn]) => {
      const words = warn();
      return words === undefined ? [] : [[name, words] as const];
    });
    return reply.code(ready ? 200 : 503).send({
      status: ready ? "ok" : "unavailable",
      checks: Object.fromEntries(results),
      ...(wrong.length === 0 ? {} : { warnings: Object.fromEntries(wrong) }),
    });
  });
  return server;
}

async function resultOf(check: () => Promise<void>): Promise<string> {
  const late = Promise.withResolvers<string>();
  const timer = setTimeout(() => late.resolve(`no answer within ${CHECK_TIMEOUT_MS} ms`), CHECK_TIMEOUT_MS);
  try {
    return await Promise.race([check().then(() => "ok"), late.promise]);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    clearTimeout(timer);
  }
}
