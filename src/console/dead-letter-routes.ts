import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { type AuditAction, audited, type Deed, type RecordAudit } from "../domain/audit.ts";
import { AccessRefused, guardRoutes, type KeyHolder, type KeyRing } from "../http/keys.ts";
import { readLimit } from "../http/limit.ts";
import type { Emit } from "../signals.ts";
import type { DeadLetterDesk } from "./dead-letters.ts";
import { deadLettersRoute, MAX_LETTERS, replayRoute } from "./routes.ts";
import { checkSameSite } from "./same-site.ts";

interface Desk {
  readonly desk: DeadLetterDesk;
  readonly keys: KeyRing;
  readonly emit: Emit;
  readonly onResponse: (request: FastifyRequest, reply: FastifyReply, done: () => void) => void;
}

/** Lists and replays dead letters, each use of it a line of the audit log. */
export async function serveDeadLetters(scope: FastifyInstance, parts: Desk): Promise<void> {
  const { desk, keys, emit, onResponse } = parts;
  const record: RecordAudit = (audit) => emit("audit.recorded", audit);
  // Not what nobody's key was sent with: strangers would fill the log.
  const tellRefused =
    (action: AuditAction) => async (request: FastifyRequest, _reply: unknown, error: Error) => {
      if (!(error instanceof AccessRefused)) return;
      const deed = deedOf(action, request, () => error.holder);
      record({ ...deed, count: 0, ids: [], settled: undefined, outcome: "refused", code: error.code });
    };

  await scope.register(async (guarded) => {
    const holderOf = guardRoutes(guarded, keys.checkOf("admin"));
    guarded.addHook("onError", tellRefused("deadLetters.listed"));
    guarded
      .withTypeProvider<TypeBoxTypeProvider>()
      .get(
        "/dead-letters",
        { schema: deadLettersRoute, onResponse, preValidation: readLimit },
        async (request, reply) => {
          const { queue, limit = MAX_LETTERS } = request.query;
          void reply.header("cache-control", "no-store");
          return audited(record, deedOf("deadLetters.listed", request, holderOf), async ({ name }) => {
            const page = await desk.list(queue, limit);
            for (const row of page.rows) name(`${row.queue}:${row.id}`);
            return page;
          });
        },
      );
  });

  await scope.register(async (guarded) => {
    guarded.addHook("onRequest", async ({ headers }) => checkSameSite(headers));
    const holderOf = guardRoutes(guarded, keys.checkOfReplay());
    guarded.addHook("onError", tellRefused("deadLetters.replayed"));
    const api = guarded.withTypeProvider<TypeBoxTypeProvider>();
    api.post("/dead-letters/replay", { schema: replayRoute, onResponse }, (request) => {
      const { queue, ids } = request.body;
      return audited(record, deedOf("deadLetters.replayed", request, holderOf), async (about) => {
        for (const id of ids) about.name(`${queue}:${id}`);
        about.settled = await desk.replay(queue, ids);
        return { replayed: about.settled };
      });
    });
  });
}

function deedOf(
  action: AuditAction,
  request: FastifyRequest,
  holderOf: (request: FastifyRequest) => KeyHolder | undefined,
): Deed {
  const holder = holderOf(request);
  return { action, by: holder === undefined ? "anyone" : `key ${holder.name}`, from: request.ip };
}
