/** A kind of value: how its text is read, and what is allowed, in the words of an error message and as JSON Schema. */
export interface Kind<T> {
  readonly allowed: string;
  readonly schema: Readonly<Record<string, unknown>>;
  read(text: string): T | undefined;
}

export const integer = (minimum: number, maximum: number): Kind<number> => ({
  allowed: `an integer from ${minimum} to ${maximum}`,
  schema: { type: "integer", minimum, maximum },
  read: (text) => {
    const value = /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
    return value >= minimum && value <= maximum ? value : undefined;
  },
});
export const port = integer(0, 65_535);
export const matching = (pattern: RegExp, allowed: string): Kind<string> => ({
  allowed,
  schema: { type: "string", pattern: pattern.source },
  read: (text) => (pattern.test(text) ? text : undefined),
});
/** Such as node's URL reads; `pattern` says which. */
export const url = (pattern: RegExp, allowed: string): Kind<string> => ({
  allowed,
  schema: { type: "string", pattern: pattern.source },
  read: (text) => (pattern.test(text) && (text === "" || URL.canParse(text)) ? text : undefined),
});
export const choice = <const T extends string>(...choices: readonly T[]): Kind<T> => ({
  allowed: choices.map((one) => `'${one}'`).join(" or "),
  schema: { type: "string", enum: choices },
  read: (text) => choices.find((one) => one === text),
});
/** Items parted by commas; an empty text is an empty list. */
export const list = (item: RegExp, allowed: string): Kind<readonly string[]> => ({
  allowed: `a comma-separated list of ${allowed}`,
  schema: { type: "array", items: { type: "string", pattern: item.source } },
  read: (text) => {
    const items = text.split(",").map((one) => one.trim());
    if (text.trim() === "") return [];
    return items.every((one) => item.test(one)) ? items : undefined;
  },
});
