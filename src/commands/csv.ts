/** Comma-separated values after RFC 4180; a bare line feed ends a record too. */

const [QUOTE, COMMA, NEWLINE] = [0x22, 0x2c, 0x0a];

/** Finds where records end in bytes that arrive in pieces; a newline within quotes does not end one. */
export class CsvBoundary {
  #state: "fieldStart" | "plain" | "quoted" | "quoteInQuoted" = "fieldStart";
  /** Newlines within quotes since the last end of a record. */
  #inside = 0;

  /** The index of the newline that ends the record which goes on at `from`, or -1 where it goes on beyond the piece. */
  find(piece: Uint8Array, from: number): number {
    for (let at = from; at < piece.length; at += 1) {
      const byte = piece[at];
      if (this.#state === "quoted") {
        if (byte === QUOTE) this.#state = "quoteInQuoted";
        else if (byte === NEWLINE) this.#inside += 1;
      } else if (byte === NEWLINE) {
        this.#state = "fieldStart";
        return at;
      } else if (byte === COMMA) {
        this.#state = "fieldStart";
      } else if (byte === QUOTE && this.#state !== "plain") {
        this.#state = "quoted";
      } else {
        this.#state = "plain";
      }
    }
    return -1;
  }

  /** How many lines the record took that has just ended. */
  lines(): number {
    const lines = 1 + this.#inside;
    this.#inside = 0;
    return lines;
  }
}

/** The fields of one record without its line ending, or a sentence on what is wrong with it. */
export function fieldsOf(record: string): readonly string[] | string {
  const fields: string[] = [];
  for (let at = 0; ; at += 1) {
    if (record[at] === '"') {
      const end = closingQuote(record, at + 1);
      if (end === -1) return "a quoted field is never closed";
      fields.push(record.slice(at + 1, end).replaceAll('""', '"'));
      at = end + 1;
      if (at < record.length && record[at] !== ",")
        return "there is text between a closing quote and the comma";
    } else {
      const comma = record.indexOf(",", at);
      const end = comma === -1 ? record.length : comma;
      const field = record.slice(at, end);
      if (field.includes('"')) return "there is a quote within a field that is not quoted";
      fields.push(field);
      at = end;
    }
    if (at >= record.length) return fields;
  }
}

/** A quote that is not one of a pair, at or after `from`. */
function closingQuote(record: string, from: number): number {
  let at = record.indexOf('"', from);
  while (at !== -1 && record[at + 1] === '"') at = record.indexOf('"', at + 2);
  return at;
}
