// Starts the page: which part is shown, the key, and the gateway's state, which is asked for again and again.

import { json } from "./api.js";
import { connectPart } from "./connect.js";
import { byId } from "./dom.js";
import { loginPart } from "./login.js";
import { refusal } from "./messages.js";
import { session } from "./session.js";
import { statusPart } from "./status.js";
import { tryPart } from "./try.js";
import { usagePart } from "./usage.js";

const REFRESH_MS = 10_000;
const PARTS = { status: statusPart, connect: connectPart, try: tryPart, usage: usagePart, login: loginPart };

let shown;
let asked = 0;

/** Asks /health. The answer to a newer question counts, whichever comes first. */
async function check() {
  const question = ++asked;
  const health = await json("/health").catch(() => null);
  if (question === asked) session.heard(health);
}

function route({ moveFocus = true } = {}) {
  const name = location.hash.slice(1) || "status";
  if (!(name in PARTS) || name === shown) return;
  PARTS[shown]?.leave?.();
  shown = name;
  for (const part of Object.keys(PARTS)) byId(`${part}-part`).hidden = part !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const title = byId(`${name}-title`);
  document.title = `${title.textContent} · qwen-worker`;
  if (moveFocus) {
    title.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  PARTS[name].enter?.();
}

function showState() {
  const { health, canLogIn, isAccepted, isOpen, key } = session;
  const pill = byId("state");
  const [text, kind] =
    health === null ? ["Not reachable", "bad"] : health.status === "ok" ? ["Running", "good"] : ["Degraded", "warn"];
  if (pill.textContent !== text) pill.textContent = text;
  pill.className = `pill ${kind}`;
  byId("key-button").textContent = isOpen
    ? "No key needed"
    : isAccepted
      ? `Key: ${health.client}`
      : key && health !== null
        ? "Key not accepted"
        : key
          ? "Your key"
          : "Enter a key";
  byId("login-link").hidden = !canLogIn;
  if (shown === "login" && health && !canLogIn) location.hash = "#status";
}

function keyDialog() {
  const dialog = byId("key-dialog");
  const input = byId("key");
  byId("key-button").addEventListener("click", () => {
    input.value = session.key;
    byId("remember").checked = session.isRemembered;
    byId("key-state").textContent = session.isOpen && !session.key ? "This gateway is open: it needs no key." : "";
    byId("forget").hidden = !session.key;
    dialog.showModal();
  });
  byId("close-key").addEventListener("click", () => dialog.close());
  byId("forget").addEventListener("click", () => {
    session.use("");
    dialog.close();
    check();
  });
  byId("key-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    session.use(input.value.trim(), byId("remember").checked);
    byId("key-state").textContent = "Checking …";
    await check();
    if (session.isAccepted || !session.key) dialog.close();
    else byId("key-state").textContent = session.health === null ? "The gateway cannot be reached." : refusal();
  });
}

session.addEventListener("change", showState);
keyDialog();
for (const part of Object.values(PARTS)) part.start({ check });
addEventListener("hashchange", () => route());
route({ moveFocus: false });
check();
setInterval(() => document.hidden || check(), REFRESH_MS);
document.addEventListener("visibilitychange", () => document.hidden || check());
