import type { FastifyReply, FastifyRequest } from "fastify";

/** Makes a number of the parameter `limit`, before it is judged by its schema: a URL has nothing but text. */
export function readLimit({ query }: FastifyRequest, _reply: FastifyReply, done: () => void): void {
  const parameters = query as Record<string, unknown>;
  const { limit } = parameters;
  // Number alone would also take 1e2, 0x10 and blanks.
  if (typeof limit === "string" && /^\d+$/.test(limit)) parameters["limit"] = Number(limit);
  done();
}
