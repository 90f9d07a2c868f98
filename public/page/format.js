// How numbers, durations and times are written: in English, in the browser's time zone.

const WHOLE = new Intl.NumberFormat("en");
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const COST = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const SMALL_COST = new Intl.NumberFormat("en", { maximumSignificantDigits: 2 });
const TIME = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });

export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

export const whole = (number) => WHOLE.format(number);
export const short = (number) => SHORT.format(number);
export const cost = (number) => (number > 0 && number < 1 ? SMALL_COST : COST).format(number);

/** A point in time, given in milliseconds since 1970. */
export const time = (ms) => TIME.format(ms);

/** `1.2 s`, `340 ms`. */
export const exactDuration = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

/** `42 s`, `4 min 5 s`, `5 h 12 min`, `3 d 4 h`. */
export function duration(seconds) {
  const rest = Math.max(0, Math.round(seconds));
  const units = [
    ["d", Math.floor(rest / 86_400)],
    ["h", Math.floor(rest / 3600) % 24],
    ["min", Math.floor(rest / 60) % 60],
    ["s", rest % 60],
  ];
  const first = units.findIndex(([, count]) => count > 0);
  if (first < 0) return "0 s";
  return units
    .slice(first, first + 2)
    .filter(([, count]) => count > 0)
    .map(([unit, count]) => `${count} ${unit}`)
    .join(" ");
}

/** `9:05`: what is left of some minutes. */
export function countdown(seconds) {
  const rest = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(rest / 60)}:${String(rest % 60).padStart(2, "0")}`;
}
