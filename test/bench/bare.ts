import Fastify from "fastify";

/** The yardstick: a Fastify server that reads a JSON body and answers 200. Run as a child process; tells its URL. */
const server = Fastify({ bodyLimit: 16 * 1024 * 1024 });
for (const path of ["/event", "/events"]) server.post(path, (_request, reply) => reply.send());
const url = await server.listen({ host: "127.0.0.1", port: 0 });
process.send?.({ url });
process.once("disconnect", () => process.exit(0));
