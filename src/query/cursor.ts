import { invalidQuery } from "./invalid.ts";

type Key = readonly (string | number)[];

/** The key of a page's last row as an opaque word for a URL. */
export function encodeCursor(key: Key): string {
  return Buffer.from(JSON.stringify(key)).toString("base64url");
}

/**
 * The key that `encodeCursor` was given, if its parts are of these types.
 * @throws MillraceError INVALID_QUERY for anything else.
 */
export function decodeCursor(cursor: string, types: readonly ("string" | "number")[]): Key {
  const key = parse(Buffer.from(cursor, "base64url").toString());
  if (!Array.isArray(key) || key.length !== types.length || types.some((type, i) => typeof key[i] !== type)) {
    throw invalidQuery([{ pointer: "/cursor", detail: "cursor is not one that this route gave" }]);
  }
  return key;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
