/** What a terminal acts on instead of showing it: controls but for line breaks and tabs, and what turns the direction of text. */
const controls = String.raw`[\0-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]`;
const acting = new RegExp(controls, "g");
const colourOrActing = new RegExp(String.raw`\x1b\[[\d;]*m|${controls}`, "g");

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** A text that others may have written, for a terminal: what would act there is shown as JSON escapes it. */
export const printable = (text: string): string => text.replaceAll(acting, escaped);

/** The same of a text that is coloured already. */
export const printableInColour = (text: string): string =>
  text.replaceAll(colourOrActing, (found) => (found.length > 1 ? found : escaped(found)));
