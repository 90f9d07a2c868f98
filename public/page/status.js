// Status: whether the gateway works, and why not; with a key, how its accounts are.

import { byId, element, facts, show } from "./dom.js";
import { duration, time } from "./format.js";
import { keyHint } from "./messages.js";
import { session } from "./session.js";

const STATES = {
  ready: ["Ready", "good"],
  cooldown: ["Cooling down", "warn"],
  refresh_pending: ["Renewing its token", "warn"],
  expired: ["Token expired", "bad"],
  missing: ["No token", "bad"],
  rejected: ["Refused by Qwen", "bad"],
  discontinued: ["Closed by Qwen", "bad"],
};

const REASONS = {
  rate_limit: "too many requests",
  quota: "its quota is used up",
  credentials: "Qwen refused its credentials",
  refreshing: "its token is being renewed",
  blocked: "Qwen's firewall blocked it",
  refused: "Qwen refused the request",
  unavailable: "Qwen did not answer",
  model_missing: "it does not have the model",
};

const APIS = {
  "/v1/chat/completions": "Chat completions",
  "/v1/responses": "Responses",
  "/v1/messages": "Anthropic Messages",
  "/v1/completions": "Completions",
  "/v1/embeddings": "Embeddings",
};

/** The seconds that were left when the gateway said so, less what has passed since. */
const left = (seconds) => seconds - (Date.now() - session.checkedAt) / 1000;
const reason = (name) => REASONS[name] ?? name;

function healthCard({ health }) {
  if (health === undefined) return element("p", { class: "card" }, "Asking the gateway …");
  if (health === null) {
    return element("div", { class: "notice bad" }, element("p", {}, "The gateway cannot be reached."));
  }
  const isFine = health.status === "ok";
  const apis = (health.apis ?? []).map((path) => element("li", {}, APIS[path] ?? path));
  return element(
    "div",
    { class: "card" },
    element("p", { class: `headline ${isFine ? "good" : "warn"}` }, isFine ? "The gateway is running." : "The gateway is degraded."),
    health.reasons && element("ul", {}, health.reasons.map((text) => element("li", {}, text))),
    facts([
      ["version", health.version?.replace(/^qwen-worker-/, "")],
      ["running for", `${duration(health.uptime)} in this isolate`],
      ["APIs", apis.length > 0 && element("ul", { class: "chips" }, apis)],
      ["usage", health.usage],
      ["your key", session.isAccepted && !session.isOpen && health.client],
    ]),
    health.notices && [
      element("p", { class: "fine" }, "The configuration was read with these changes:"),
      element("ul", { class: "fine" }, health.notices.map((text) => element("li", {}, text))),
    ],
  );
}

function cooldownText(cause, seconds) {
  const rest = left(seconds);
  return rest > 0 ? `${reason(cause)}; tried again in ${duration(rest)}` : `${reason(cause)}; the next request tries it`;
}

function expiryText(seconds) {
  const at = time(session.checkedAt + seconds * 1000);
  return seconds > 0 ? `${at}, in ${duration(left(seconds))}` : `${at}, ${duration(-left(seconds))} ago`;
}

function accountCard(account) {
  const [word, kind] = STATES[account.state] ?? [account.state, "warn"];
  const { credentials } = account;
  const models = Object.entries(account.models_in_cooldown ?? {});
  const refresh = credentials.last_refresh;
  return element(
    "article",
    { class: "card", "aria-label": `Account ${account.label}` },
    element("h4", {}, account.label, " ", element("span", { class: `pill ${kind}` }, word)),
    facts([
      ["cooldown", account.reason && cooldownText(account.reason, account.seconds_left)],
      ...models.map(([model, cooldown]) => [model, cooldownText(cooldown.reason, cooldown.seconds_left)]),
      ["kind", credentials.kind === "oauth" ? "login of Qwen" : "API key"],
      ["token expires", typeof credentials.expires_in_seconds === "number" ? expiryText(credentials.expires_in_seconds) : ""],
      ["last renewal", refresh && `${refresh.result}, ${time(Date.parse(refresh.at))}`],
      ["kept in KV", credentials.saved === false && "not yet"],
      ["priority", session.health.accounts.length > 1 && String(account.priority)],
    ]),
  );
}

function accounts({ health }) {
  const hint = keyHint("to see the accounts");
  if (hint || !health) return hint;
  if (!health.accounts?.length) return element("p", { class: "card" }, "There is no account yet.");
  return health.accounts.map(accountCard);
}

function render() {
  show(byId("health"), healthCard(session));
  show(byId("accounts"), ...[accounts(session)].flat());
  const seconds = (Date.now() - session.checkedAt) / 1000;
  byId("checked").textContent = session.checkedAt ? `Checked ${duration(seconds)} ago; refreshes by itself.` : "";
}

let ticking;

export const statusPart = {
  start({ check }) {
    session.addEventListener("change", () => ticking && render());
    byId("check-now").addEventListener("click", check);
  },
  enter() {
    render();
    ticking = setInterval(render, 1000);
  },
  leave() {
    clearInterval(ticking);
    ticking = undefined;
  },
};
