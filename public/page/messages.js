// What every part says in the same way: errors, and that a key is missing.

import { copyButton, element, facts } from "./dom.js";
import { session } from "./session.js";

/** An error as an SDK would show it, with the id to search the log for. */
export function errorBox(error) {
  const known = error.sdkClass !== undefined;
  return element(
    "div",
    { class: "notice bad", role: "alert" },
    element("p", {}, element("strong", {}, error.message)),
    known &&
      facts([
        ["in SDKs", element("code", {}, error.sdkClass + (error.status ? ` (${error.status})` : ""))],
        ["code", error.code && element("code", {}, error.code)],
        ["type", error.type && element("code", {}, error.type)],
        ["field", error.param && element("code", {}, error.param)],
        ["try again in", error.retryAfter && `${error.retryAfter} s`],
        [
          "request id",
          error.requestId && [
            element("code", {}, error.requestId),
            " ",
            copyButton(() => error.requestId, "the request id"),
            element("span", { class: "fine" }, " search the gateway's log for it"),
          ],
        ],
      ]),
  );
}

/** Says that a key is missing or not accepted; undefined if there is a good one, or none is needed. */
export function keyHint(purpose) {
  if (session.health === undefined || session.isAccepted) return undefined;
  const text = session.health === null ? "The gateway cannot be reached." : session.key ? refusal() : `Enter a key ${purpose}.`;
  return element(
    "div",
    { class: "notice" },
    element("p", {}, text),
    session.health !== null &&
      element(
        "button",
        { type: "button", onclick: () => document.getElementById("key-button").click() },
        session.key ? "Enter another key" : "Enter a key",
      ),
  );
}

/** Why a key is not accepted. */
export function refusal() {
  return session.health?.status === "degraded"
    ? "The gateway does not accept this key. It is wrong or has expired, or the configuration is too broken to check it: see Status."
    : "The gateway does not accept this key: it is wrong, or has expired.";
}
