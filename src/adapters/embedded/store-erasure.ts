import { createHash } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import { type Erased, formsOf, nothingErased } from "../../domain/erasure.ts";

/** No id that a client chose begins like this: see domain/event-id.ts. */
const ERASED = "erased:";

/** Stands for an event id that held an erased name: who sends the id again is still told from who does not. */
export const digestOf = (eventId: string): string =>
  `${ERASED}${createHash("sha256").update(eventId).digest("hex")}`;

/** Whether there is any such claim: most stores have none, and then no id needs its digest. */
export const anyDigest = `SELECT 1 FROM claim WHERE event_id >= '${ERASED}' AND event_id < 'erased;' LIMIT 1`;

/** Erases a user from the views, and the name from claims, in one transaction. */
export function eraseFromStore(database: DatabaseSync, username: string): Erased {
  database.exec("BEGIN IMMEDIATE");
  try {
    const remove = (table: string): number =>
      Number(database.prepare(`DELETE FROM ${table} WHERE username = ?`).run(username).changes);
    const erased = {
      ...nothingErased,
      accounts: remove("account"),
      hourlyRows: remove("hourly_log"),
      claims: digestClaims(database, username),
    };
    // Workers forget the names that they know.
    if (erased.accounts > 0) database.exec("UPDATE erasure SET number = number + 1");
    database.exec("COMMIT");
    return erased;
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}

function digestClaims(database: DatabaseSync, username: string): number {
  const forms = formsOf(username);
  const holds = forms.map(() => "instr(event_id, ?) > 0").join(" OR ");
  const found = database
    .prepare(`SELECT rowid, event_id FROM claim WHERE ${holds}`)
    .all(...forms)
    .filter(({ event_id: id }) => !String(id).startsWith(ERASED));
  // Where the digest is there already, it was the first: the later claim goes.
  const replace = database.prepare("UPDATE OR IGNORE claim SET event_id = ? WHERE rowid = ?");
  const drop = database.prepare("DELETE FROM claim WHERE rowid = ?");
  for (const { rowid, event_id: id } of found) {
    if (replace.run(digestOf(String(id)), Number(rowid)).changes === 0) drop.run(Number(rowid));
  }
  return found.length;
}
