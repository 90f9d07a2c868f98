// Usage: what /v1/usage tells, as figures, a chart, a table and a CSV file.

import { json, request } from "./api.js";
import { byId, element, show } from "./dom.js";
import { cost, exactDuration, short, whole, ZONE } from "./format.js";
import { errorBox, keyHint } from "./messages.js";
import { session } from "./session.js";
import { MEASURES, period, slotOf, stacks, sums } from "./usage_data.js";

const TITLES = { tokens: "Tokens", requests: "Requests", errors: "Errors", cost: "Cost" };
const NAMES = { key: "key", model: "model", account: "account", api: "API", day: "day", hour: "hour" };
const NOT_KEPT = "This gateway keeps no usage: it has no database. Bind one as USAGE_DB, as docs/usage.md says.";

let chart;
let asked = 0;
let told;

const form = () => byId("usage-form");
const choices = () => {
  const { by, measure, period: days } = form().elements;
  return { by: by.value, measure: measure.value, days: Number(days.value) };
};

function query({ by, days }) {
  const { from, to, parts } = period(days);
  return new URLSearchParams({ from, to, by: [...parts, ...(by ? [by] : [])].join(",") });
}

/** Asks the gateway, unless the key is missing. The answer to a newer question counts. */
async function load() {
  const question = ++asked;
  const hint = keyHint(session.health ? "to see what was used" : "");
  byId("usage-content").hidden = true;
  show(byId("usage-error"), hint ?? "");
  for (const button of form().querySelectorAll("button")) button.disabled = !session.isAccepted;
  if (hint || !session.isAccepted) return say("");
  say("Loading …");
  const chosen = choices();
  try {
    const [usage, drawing] = await Promise.all([json(`/v1/usage?${query(chosen)}`), import("./chart.js")]);
    chart = drawing;
    if (question !== asked) return;
    told = { ...chosen, usage };
    say("");
    render();
  } catch (error) {
    if (question !== asked) return;
    say("");
    show(byId("usage-error"), error.code === "usage_not_kept" ? element("p", { class: "notice" }, NOT_KEPT) : errorBox(error));
  }
}

const say = (text) => (byId("usage-state").textContent = text);

function render() {
  const { usage, by, days } = told;
  const { data } = usage;
  const hasCost = data.some((row) => row.cost !== undefined);
  const { measure: select } = form().elements;
  select.querySelector("[value=cost]").disabled = !hasCost;
  if (!hasCost && select.value === "cost") select.value = "tokens";
  const measure = select.value;
  if (data.length === 0) {
    say("Nothing was used in this time. A request is counted some ten seconds after its answer.");
    return;
  }
  byId("usage-content").hidden = false;
  byId("totals").replaceChildren(...totals(usage.total, hasCost));
  const { slots } = period(days);
  const nameOf = by ? (row) => row[by] || "(none)" : () => "all";
  const write = measure === "cost" ? cost : whole;
  byId("chart-title").textContent =
    `${TITLES[measure]}${by ? ` by ${NAMES[by]}` : ""}, ${days === 1 ? `hours in ${ZONE}` : "days in UTC"}`;
  chart.draw({
    place: byId("chart"),
    legend: byId("legend"),
    slots,
    stacks: stacks(data, slots, nameOf, MEASURES[measure], chart.MOST_COLOURS),
    write,
    writeShort: measure === "cost" ? cost : short,
  });
  const labels = new Map(slots.map(({ id, label }) => [id, label]));
  const rows = by ? sums(data, nameOf) : sums(data, (row) => labels.get(slotOf(row)) ?? row.day);
  byId("usage-table").replaceChildren(table(by || (days === 1 ? "hour" : "day"), rows, hasCost, Boolean(by)));
  byId("usage-notes").textContent = notes(usage, days);
}

function totals(total, hasCost) {
  const estimated = total.estimated_input_tokens + total.estimated_output_tokens;
  const list = [
    ["requests", whole(total.requests)],
    ["errors", whole(MEASURES.errors(total))],
    ["input tokens", whole(total.input_tokens + total.estimated_input_tokens)],
    ["output tokens", whole(total.output_tokens + total.estimated_output_tokens)],
    ["estimated", estimated ? `${whole(estimated)} tokens` : ""],
    ["cost", hasCost ? cost(total.cost) : ""],
  ];
  return list
    .filter(([, value]) => value)
    .map(([term, value]) => element("div", {}, element("dt", {}, term), element("dd", {}, value)));
}

function table(title, rows, hasCost, isSorted) {
  const columns = [
    ["requests", (row) => whole(row.requests)],
    ["errors", (row) => whole(MEASURES.errors(row))],
    ["input tokens", (row) => whole(row.input_tokens + row.estimated_input_tokens)],
    ["cached", (row) => whole(row.cached_tokens)],
    ["output tokens", (row) => whole(row.output_tokens + row.estimated_output_tokens)],
    ["thinking", (row) => whole(row.reasoning_tokens)],
    ["first byte", (row) => (row.requests ? exactDuration(row.first_byte_ms / row.requests) : "")],
    ...(hasCost ? [["cost", (row) => cost(row.cost ?? 0)]] : []),
  ];
  const entries = [...rows];
  if (isSorted) entries.sort(([, one], [, other]) => MEASURES.tokens(other) - MEASURES.tokens(one));
  return element(
    "table",
    {},
    element(
      "thead",
      {},
      element(
        "tr",
        {},
        element("th", { scope: "col" }, NAMES[title]),
        columns.map(([name]) => element("th", { scope: "col" }, name)),
      ),
    ),
    element(
      "tbody",
      {},
      entries.map(([name, row]) =>
        element(
          "tr",
          {},
          element("th", { scope: "row" }, name),
          columns.map(([, write]) => element("td", {}, write(row))),
        ),
      ),
    ),
  );
}

function notes(usage, days) {
  return [
    days === 1 ? "Today is the day in UTC, as for limits." : "Days are in UTC, as for limits.",
    usage.is_truncated && "There is more than the gateway tells at once: choose a shorter time.",
    usage.models_without_price && `Without a price: ${usage.models_without_price.join(", ")}.`,
  ]
    .filter(Boolean)
    .join(" ");
}

async function download() {
  const chosen = choices();
  try {
    const response = await request(`/v1/usage?${query(chosen)}`, { accept: "text/csv" });
    const { from, to } = period(chosen.days);
    const url = URL.createObjectURL(await response.blob());
    element("a", { href: url, download: `usage-${from}-${to}.csv` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  } catch (error) {
    show(byId("usage-error"), errorBox(error));
  }
}

function showWhose() {
  byId("usage-lead").textContent =
    session.isAdmin || (session.isOpen && session.health)
      ? "What was used, by everybody."
      : session.isAccepted
        ? "What was used with your key. The admin key shows everybody's usage."
        : "What was used: with a client's key its own, with the admin key everybody's.";
}

export const usagePart = {
  start() {
    let identity;
    session.addEventListener("change", () => {
      showWhose();
      const now = `${session.key} ${session.isAccepted} ${session.health === null}`;
      if (now !== identity && !byId("usage-part").hidden) load();
      identity = now;
    });
    form().addEventListener("submit", (event) => {
      event.preventDefault();
      load();
    });
    form().addEventListener("change", load);
    byId("csv").addEventListener("click", download);
  },
  enter() {
    showWhose();
    load();
  },
};
