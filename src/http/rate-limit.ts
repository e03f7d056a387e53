import rateLimit from "@fastify/rate-limit";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { MillraceError } from "../errors.ts";
import type { KeyHolder } from "./keys.ts";

interface Limits {
  readonly holderOf: (request: FastifyRequest) => KeyHolder | undefined;
  /** Requests a second of a key that has no rate of its own, or of an address where no key is asked for; 0 for no limit. */
  readonly byDefault: number;
}

/** Bounds the requests a second of each key, over all keys of one name, or of each address, on the scope's routes registered after this. */
export async function limitRequests(scope: FastifyInstance, { holderOf, byDefault }: Limits): Promise<void> {
  const rateOf = (request: FastifyRequest): number => holderOf(request)?.ratePerSecond || byDefault;
  await scope.register(rateLimit, {
    hook: "preHandler",
    max: rateOf,
    timeWindow: 1000,
    enableDraftSpec: true,
    allowList: (request) => rateOf(request) === 0,
    keyGenerator: (request) => {
      const holder = holderOf(request);
      return holder === undefined ? `address ${request.ip}` : `key ${holder.name}`;
    },
    errorResponseBuilder: (_request, { max }) =>
      new MillraceError("RATE_LIMITED", `at most ${max} requests a second are taken`),
  });
}
