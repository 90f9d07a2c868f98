// Connect: the gateway's addresses, and the snippets of docs/clients.md with them.

import { json } from "./api.js";
import { byId, copyButton, element, marked, show } from "./dom.js";
import { errorBox } from "./messages.js";
import { session } from "./session.js";

// What docs/clients.md says in place of a gateway's own.
const DOCUMENTED_URL = "http://127.0.0.1:8787";
const DOCUMENTED_KEY = "your-key";

const LANGUAGES = { sh: "Shell", console: "Shell", python: "Python", js: "JavaScript" };

let tools = [];
let chosen;

const ownKey = () => (byId("with-key").checked && session.key && !session.isAdmin ? session.key : DOCUMENTED_KEY);
const filled = (code) => code.replaceAll(DOCUMENTED_URL, location.origin).replaceAll(DOCUMENTED_KEY, ownKey);

function addresses() {
  const lines = [
    ["OpenAI's API", `${location.origin}/v1`],
    ["Anthropic's API", location.origin],
  ];
  return element(
    "dl",
    { class: "card addresses" },
    lines.map(([api, url]) => [
      element("dt", {}, `Base URL of ${api}`),
      element("dd", {}, element("code", {}, url), " ", copyButton(() => url, `the base URL of ${api}`)),
    ]),
  );
}

function toolButtons() {
  const groups = [...new Set(tools.map((tool) => tool.group))];
  return groups.map((group) =>
    element(
      "div",
      { class: "tools", role: "group", "aria-label": group },
      element("span", { class: "fine" }, group),
      tools
        .filter((tool) => tool.group === group)
        .map((tool) =>
          element(
            "button",
            { type: "button", "aria-pressed": String(tool === chosen), onclick: () => choose(tool) },
            tool.name,
          ),
        ),
    ),
  );
}

function block({ caption, language, code }) {
  const text = filled(code).trimEnd();
  return element(
    "div",
    { class: "snippet" },
    element(
      "div",
      { class: "row" },
      element("span", {}, ...marked(caption || (LANGUAGES[language] ?? ""))),
      copyButton(() => text, `the snippet for ${chosen.name}`),
    ),
    element("pre", { tabindex: "0", "aria-label": `Snippet for ${chosen.name}` }, element("code", {}, text)),
  );
}

function choose(tool) {
  chosen = tool;
  for (const button of document.querySelectorAll("#tools button")) {
    button.setAttribute("aria-pressed", String(button.textContent === tool.name));
  }
  byId("snippets").replaceChildren(element("h3", {}, tool.name), ...tool.blocks.map(block));
}

function showKeyChoice() {
  byId("with-key").disabled = !session.key || session.isAdmin;
}

export const connectPart = {
  start() {
    byId("with-key").addEventListener("change", () => chosen && choose(chosen));
    session.addEventListener("change", showKeyChoice);
  },
  async enter() {
    show(byId("addresses"), addresses());
    showKeyChoice();
    if (tools.length > 0) return choose(chosen);
    try {
      tools = await json("/page/built/snippets.json");
    } catch (error) {
      show(byId("snippets"), errorBox(error));
      return;
    }
    chosen = tools[0];
    byId("tools").replaceChildren(...toolButtons());
    choose(chosen);
  },
};
