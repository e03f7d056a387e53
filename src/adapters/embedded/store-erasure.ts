import type { DatabaseSync } from "node:sqlite";
import { type Erased, formsOf, holdsName, nothingErased } from "../../domain/erasure.ts";
import { digestOf, isDigest } from "./erased-claim.ts";

/** Claims that are digested in one transaction: others write in between. */
const PAGE = 500;

/** Erases a user from the views, and the name from claims. */
export function eraseFromStore(database: DatabaseSync, username: string): Erased {
  const erased = transaction(database, () => {
    const remove = (table: string): number =>
      Number(database.prepare(`DELETE FROM ${table} WHERE username = ?`).run(username).changes);
    const [accounts, hourlyRows] = [remove("account"), remove("hourly_log")];
    // Workers forget the names that they know.
    if (accounts > 0) database.exec("UPDATE erasure SET number = number + 1");
    return { ...nothingErased, accounts, hourlyRows };
  });
  return { ...erased, claims: digestClaims(database, username) };
}

/**
 * Answers how many of the ids hold the name as a word of their own. Those of others in which a short name happens to be keep coming
 * in, and an erasure that waited for them would not end.
 */
function digestClaims(database: DatabaseSync, username: string): number {
  const forms = formsOf(username);
  const holds = forms.map(() => "instr(event_id, ?) > 0").join(" OR ");
  const page = database.prepare(
    `SELECT rowid, event_id FROM claim WHERE rowid > ? AND (${holds}) ORDER BY rowid LIMIT ${PAGE}`,
  );
  // Where the digest is there already, it was the first: the later claim goes. It may have expired since it was found.
  const replace = database.prepare(
    "UPDATE OR IGNORE claim SET event_id = ? WHERE rowid = ? AND event_id = ?",
  );
  const drop = database.prepare("DELETE FROM claim WHERE rowid = ? AND event_id = ?");
  let words = 0;
  let after = Number.MIN_SAFE_INTEGER;
  for (let rows = page.all(after, ...forms); rows.length > 0; rows = page.all(after, ...forms)) {
    after = Number(rows.at(-1)?.["rowid"]);
    const found = rows
      .map(({ rowid, event_id: id }) => ({ rowid: Number(rowid), id: String(id) }))
      .filter(({ id }) => !isDigest(id));
    if (found.length === 0) continue;
    transaction(database, () => {
      for (const { rowid, id } of found)
        if (replace.run(digestOf(id), rowid, id).changes === 0) drop.run(rowid, id);
    });
    words += found.filter(({ id }) => forms.some((form) => holdsName(id, form))).length;
  }
  return words;
}

function transaction<T>(database: DatabaseSync, work: () => T): T {
  database.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    database.exec("COMMIT");
    return result;
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}
