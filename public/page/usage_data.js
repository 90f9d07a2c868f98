// What /v1/usage tells, as the page shows it: periods, groups, sums.

export const MEASURES = {
  tokens: (row) =>
    row.input_tokens + row.output_tokens + row.estimated_input_tokens + row.estimated_output_tokens,
  requests: (row) => row.requests,
  errors: (row) => row.client_errors + row.limit_errors + row.upstream_errors + row.gateway_errors,
  cost: (row) => row.cost ?? 0,
};

const DAY_MS = 86_400_000;
const HOUR = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", timeZone: "UTC" });

const utcDay = (ms) => new Date(ms).toISOString().slice(0, 10);

/**
 * The last `days` days, today included, in UTC as the gateway counts them, and the times they are divided into:
 * `{from, to, parts, slots: [{id, label}]}`. One day is divided into hours.
 */
export function period(days, now = Date.now()) {
  const from = utcDay(now - (days - 1) * DAY_MS);
  const to = utcDay(now);
  if (days === 1) {
    const midnight = Date.parse(`${to}T00:00:00Z`);
    const hours = Array.from({ length: 24 }, (_, hour) => hour);
    return {
      from,
      to,
      parts: ["day", "hour"],
      slots: hours.map((hour) => ({ id: `${to} ${hour}`, label: HOUR.format(midnight + hour * 3_600_000) })),
    };
  }
  const starts = Array.from({ length: days }, (_, index) => now - (days - 1 - index) * DAY_MS);
  return {
    from,
    to,
    parts: ["day"],
    slots: starts.map((ms) => ({ id: utcDay(ms), label: DAY.format(ms) })),
  };
}

/** Which slot of a period a row belongs to. */
export const slotOf = (row) => (row.hour === undefined ? row.day : `${row.day} ${row.hour}`);

/** The rows added up by a name of each: `Map(name, sums)`. */
export function sums(rows, nameOf) {
  const found = new Map();
  for (const row of rows) {
    const name = nameOf(row);
    const sum = found.get(name) ?? {};
    for (const [column, value] of Object.entries(row)) {
      if (typeof value === "number" && column !== "hour") sum[column] = (sum[column] ?? 0) + value;
    }
    found.set(name, sum);
  }
  return found;
}

/**
 * The rows as stacked bars: `[{name, values}]`, a value for each slot, the largest first. All but the largest
 * `most` are one, called "others".
 */
export function stacks(rows, slots, nameOf, measure, most) {
  const totals = [...sums(rows, nameOf)].sort(([, one], [, other]) => measure(other) - measure(one));
  const names = totals.map(([name]) => name);
  const shown = names.length > most ? [...names.slice(0, most - 1), "others"] : names;
  const places = new Map(slots.map(({ id }, index) => [id, index]));
  const found = shown.map((name) => ({ name, values: slots.map(() => 0) }));
  for (const row of rows) {
    const at = shown.indexOf(nameOf(row));
    const slot = places.get(slotOf(row));
    if (slot !== undefined) found.at(at < 0 ? -1 : at).values[slot] += measure(row);
  }
  return found;
}
