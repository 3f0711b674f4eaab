// How numbers, times and long texts look. Pure: the same words for the same value everywhere.

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
export const NOTHING = "–"; // what is not known, or not there

/** Return a count with its thousands set apart. */
export function count(n) {
  return n === null || n === undefined ? NOTHING : Math.round(n).toLocaleString("en");
}

/** Return `n` and its noun: "1 worker", "2 workers". */
export function counted(n, noun) {
  return `${count(n)} ${noun}${n === 1 ? "" : "s"}`;
}

/** Return a rate per second; below 10 its first decimal counts. */
export function rate(perSecond) {
  if (perSecond === null || perSecond === undefined) return NOTHING;
  if (perSecond > 0 && perSecond < 0.05) return "<0.1";
  return perSecond > 0 && perSecond < 9.95 ? perSecond.toFixed(1) : count(perSecond);
}

/** Return how long something took, in the unit that leaves about three digits. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return NOTHING;
  const s = Math.max(0, seconds);
  if (s < 0.000005) return "0 ms";
  if (s < 0.001) return `${(s * 1000).toFixed(2)} ms`;
  if (s < 0.0995) return `${(s * 1000).toFixed(1)} ms`;
  if (s < 0.9995) return `${(s * 1000).toFixed(0)} ms`;
  if (s < 9.995) return `${s.toFixed(2)} s`;
  if (s < 99.95) return `${s.toFixed(1)} s`;
  return wholeUnits(s);
}

/** Return how long something has been waiting: tenths at most, since it changes while one looks. */
export function waiting(seconds) {
  if (seconds === null || seconds === undefined) return NOTHING;
  return seconds < 9.95 ? `${Math.max(0, seconds).toFixed(1)} s` : wholeUnits(seconds);
}

/** Return how long ago something was. */
export function age(seconds) {
  if (seconds === null || seconds === undefined) return NOTHING;
  return seconds < 1 ? "now" : wholeUnits(seconds);
}

function wholeUnits(seconds) {
  const s = Math.floor(seconds);
  if (s < 2 * MINUTE) return `${s} s`;
  if (s < 2 * HOUR) return `${Math.floor(s / MINUTE)} min`;
  if (s < 2 * DAY) return `${Math.floor(s / HOUR)} h`;
  return `${Math.floor(s / DAY)} d`;
}

/** Return the time of day of `wall`, seconds since the epoch, where the reader is. */
export function timeOfDay(wall) {
  return new Date(wall * 1000).toLocaleTimeString("en", { hourCycle: "h23" });
}

/** Return when `wall` was: the time of day, and the date unless `now` is on the same day. */
export function moment(wall, now) {
  const [day, today] = [wall, now].map((at) => new Date(at * 1000));
  if (day.toDateString() === today.toDateString()) return timeOfDay(wall);
  const date = day.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
  return `${date}, ${timeOfDay(wall)}`;
}

/** Return `text` in at most about `most` characters; what was left out is counted, not hidden. */
export function shortened(text, most) {
  const characters = text.length > most ? Array.from(text) : text;
  if (characters.length <= most) return text;
  const kept = characters.slice(0, most).join("");
  return `${kept}… (${count(characters.length)} characters)`;
}

/** Return a number, as the master wrote it, in at most about `most` characters. */
export function number(text, most) {
  if (text === null || text === undefined) return NOTHING;
  if (text.length <= most) return text;
  const digits = text.length - (text.startsWith("-") ? 1 : 0);
  const half = Math.floor(most / 2);
  return `${text.slice(0, half)}…${text.slice(-half)} (${count(digits)} digits)`;
}

const SIGNS = { sum: "+", sub: "−", mul: "×", div: "÷" };

/** Return the sign of an operation, or its name if it has none. */
export function sign(operation) {
  return SIGNS[operation] ?? operation;
}
