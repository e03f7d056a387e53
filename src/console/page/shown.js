/** What stands where a figure is not known. */
export const UNKNOWN = "–";

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const prefixes = ["", "k", "M", "G", "T", "P", "E"];

/**
 * A number with three digits and a prefix of the SI: 0.25, 12.3, 999, 1.23 k, 45.6 M.
 * @param {number | null} value
 * @returns {string}
 */
export function si(value) {
  if (value === null) return UNKNOWN;
  let [rest, power] = [Math.abs(value), 0];
  // From 999.5 on three digits would show 1000.
  while (rest >= 999.5 && power < prefixes.length - 1) {
    rest /= 1000;
    power += 1;
  }
  const digits = rest >= 99.95 ? 0 : rest >= 9.995 ? 1 : 2;
  const number = String(Number(rest.toFixed(digits)));
  const sign = value < 0 && number !== "0" ? "−" : "";
  return power === 0 ? sign + number : `${sign}${number} ${prefixes[power]}`;
}

/**
 * A whole number with all its digits.
 * @param {number | null} value
 * @returns {string}
 */
export function whole(value) {
  return value === null ? UNKNOWN : plain.format(value);
}

/**
 * @param {number} number
 * @param {string} one
 * @param {string} [several]
 * @returns {string}
 */
export function counted(number, one, several = `${one}s`) {
  return `${whole(number)} ${number === 1 ? one : several}`;
}

/**
 * A time span in one or two units: 12 ms, 1.2 s, 41 s, 3 min 20 s, 2 h 5 min, 4 d 3 h.
 * @param {number | null} seconds
 * @returns {string}
 */
export function span(seconds) {
  if (seconds === null) return UNKNOWN;
  if (seconds === 0) return "0 s";
  if (seconds < 0.9995) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 9.95) return `${Number(seconds.toFixed(1))} s`;
  const total = Math.round(seconds);
  if (total < 120) return `${total} s`;
  if (total < 7200) return two(Math.floor(total / 60), "min", total % 60, "s");
  if (total < 172_800) return two(Math.floor(total / 3600), "h", Math.floor((total % 3600) / 60), "min");
  return two(Math.floor(total / 86_400), "d", Math.floor((total % 86_400) / 3600), "h");
}

/**
 * @param {number} large
 * @param {string} unit
 * @param {number} small
 * @param {string} smallUnit
 * @returns {string}
 */
function two(large, unit, small, smallUnit) {
  return small === 0 ? `${large} ${unit}` : `${large} ${unit} ${small} ${smallUnit}`;
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dated = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

/**
 * The time of day where this browser is.
 * @param {number} atMs
 * @returns {string}
 */
export function timeOf(atMs) {
  return clock.format(atMs);
}

/**
 * A `time` element: this browser's time, with the date where that is not today, and UTC in its title.
 * @param {number} atMs
 * @returns {HTMLTimeElement}
 */
export function instant(atMs) {
  const made = document.createElement("time");
  const at = new Date(atMs);
  if (Number.isNaN(at.getTime())) {
    made.textContent = UNKNOWN;
    return made;
  }
  const today = at.toDateString() === new Date().toDateString();
  made.dateTime = at.toISOString();
  made.title = `${at.toISOString().replace("T", " ").replace("Z", "")} UTC`;
  made.textContent = today ? clock.format(at) : `${dated.format(at)}, ${clock.format(at)}`;
  return made;
}
