// Log in: Qwen's device flow, which the gateway runs, and the logins that it keeps.

import { json } from "./api.js";
import { byId, copyButton, element, facts, show } from "./dom.js";
import { countdown, time } from "./format.js";
import { errorBox } from "./messages.js";
import { session } from "./session.js";

let tellOthers;
let pending;
let ticking;

const say = (text) => (byId("login-state").textContent = text);
const path = (id) => `/v1/logins/${encodeURIComponent(id)}`;
const form = () => byId("login-form");

/** A link, if it is one of the web: what Qwen calls its own is still not ours. */
function webLink(url) {
  const isWeb = URL.canParse(url) && /^https?:$/.test(new URL(url).protocol);
  return isWeb
    ? element("a", { href: url, target: "_blank", rel: "noopener noreferrer", class: "button" }, "Open Qwen's page")
    : element("code", {}, url);
}

async function begin(event) {
  event.preventDefault();
  const label = form().elements.label.value.trim();
  say("Asking Qwen for a code …");
  setBusy(true);
  try {
    const login = await json("/v1/logins", { method: "POST", body: label ? { label } : {} });
    pending = login;
    say("");
    show(byId("pending"), pendingCard(login));
    ticking = setInterval(showTime, 1000);
    showTime();
    poll(login);
    list();
  } catch (error) {
    say("");
    show(byId("pending"), errorBox(error));
    setBusy(false);
  }
}

function setBusy(isBusy) {
  form().querySelector("button").disabled = isBusy;
}

function pendingCard(login) {
  return element(
    "div",
    { class: "card" },
    element(
      "ol",
      { class: "steps" },
      element("li", {}, "Open Qwen's page and log in there. ", webLink(login.verification_uri_complete)),
      element(
        "li",
        {},
        "Compare the code, or type it there: ",
        element("strong", { class: "code" }, login.user_code),
        " ",
        copyButton(() => login.user_code, "the code"),
      ),
      element("li", {}, "Approve. This page notices it by itself."),
    ),
    element("p", { id: "login-wait", class: "fine" }),
    element("button", { type: "button", class: "quiet", onclick: cancel }, "Cancel"),
  );
}

function showTime() {
  const wait = byId("login-wait");
  if (!pending || !wait) return;
  const seconds = pending.expires_at - Date.now() / 1000;
  wait.textContent = seconds > 0 ? `Waiting. The code is good for ${countdown(seconds)} more.` : "The code has expired.";
}

/** Asks what became of a login until it is decided, or another one has been begun. */
async function poll(login) {
  let seconds = login.interval_seconds;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, Math.max(1, seconds) * 1000));
    if (pending !== login) return;
    let now;
    try {
      now = await json(path(login.id));
      seconds = now.interval_seconds ?? seconds;
    } catch (error) {
      // What Qwen or the network does for a moment is not the end of the login.
      if (error.status === 0 || error.status >= 500 || error.status === 429) continue;
      end(errorBox(error));
      return;
    }
    if (pending !== login) return;
    if (now.status !== "pending") {
      const isGood = now.status === "active";
      end(
        element(
          "p",
          { class: `notice ${isGood ? "good" : "bad"}`, role: "alert" },
          isGood && element("strong", {}, "Logged in. "),
          now.message,
        ),
      );
      if (isGood) form().reset();
      return;
    }
    say(now.message === login.message ? "" : now.message);
  }
}

function end(shown) {
  pending = undefined;
  clearInterval(ticking);
  setBusy(false);
  show(byId("pending"), shown ?? "");
  list();
  tellOthers();
}

async function cancel() {
  const { id } = pending;
  end();
  await change(id, { method: "DELETE" }, "Cancelled.");
}

async function list() {
  if (!session.canLogIn) return;
  try {
    const { data } = await json("/v1/logins");
    show(
      byId("logins"),
      data.length > 0 ? element("div", { class: "grid" }, data.map(loginCard)) : element("p", { class: "card" }, "There are none yet."),
    );
  } catch (error) {
    show(byId("logins"), errorBox(error));
  }
}

/** Changes a login, says so, and shows the logins as they are then. */
async function change(id, options, said) {
  try {
    await json(path(id), options);
    say(said);
  } catch (error) {
    show(byId("pending"), errorBox(error));
  }
  await list();
  tellOthers();
}

function loginCard(login) {
  const kind = { active: "good", pending: "warn" }[login.status] ?? "bad";
  const name = element("input", { "aria-label": `New label of ${login.label}`, value: login.label, maxlength: "40" });
  const rename = element(
    "form",
    {
      class: "row",
      onsubmit: (event) => {
        event.preventDefault();
        change(login.id, { method: "POST", body: { label: name.value.trim() } }, "Renamed.");
      },
    },
    name,
    element("button", { type: "submit", class: "quiet" }, "Rename"),
  );
  return element(
    "article",
    { class: "card", "aria-label": `Login ${login.label}` },
    element("h4", {}, login.label, " ", element("span", { class: `pill ${kind}` }, login.status)),
    facts([["since", login.created && time(login.created * 1000)]]),
    element("div", { class: "row" }, rename, removeButton(login)),
  );
}

/** Removes at the second press. */
function removeButton(login) {
  const button = element("button", { type: "button", class: "quiet" }, "Remove");
  button.addEventListener("click", () => {
    if (button.classList.contains("danger")) {
      change(login.id, { method: "DELETE" }, `Removed ${login.label}.`);
      return;
    }
    button.classList.add("danger");
    button.textContent = `Remove ${login.label} for good`;
  });
  button.addEventListener("blur", () => {
    button.classList.remove("danger");
    button.textContent = "Remove";
  });
  return button;
}

export const loginPart = {
  start({ check }) {
    tellOthers = check;
    form().addEventListener("submit", begin);
    let could = false;
    session.addEventListener("change", () => {
      if (session.canLogIn && !could && !byId("login-part").hidden) list();
      could = session.canLogIn;
    });
  },
  enter: list,
};
