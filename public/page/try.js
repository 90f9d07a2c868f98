// Try it: one question, the answer as it comes, and what it took.

import { errorOf, GatewayError, json, request } from "./api.js";
import { byId, element, show } from "./dom.js";
import { exactDuration, whole } from "./format.js";
import { errorBox, keyHint } from "./messages.js";
import { session } from "./session.js";
import { events } from "./sse.js";

let running;
let listedFor;

const say = (text) => (byId("try-state").textContent = text);
// Models that make vectors do not answer.
const answers = (model) => !/embedding/.test(model.id);

async function listModels() {
  const key = `${session.key} ${session.isAccepted}`;
  if (!session.isAccepted || key === listedFor) return;
  listedFor = key;
  try {
    const { data } = await json("/v1/models");
    const select = byId("model");
    const before = select.value;
    select.replaceChildren(...data.filter(answers).map(({ id }) => element("option", { value: id }, id)));
    if ([...select.options].some((option) => option.value === before)) select.value = before;
  } catch (error) {
    listedFor = undefined;
    show(byId("try-hint"), errorBox(error));
  }
}

function showHint() {
  const hint = session.isAdmin
    ? element("p", { class: "notice" }, "The admin key uses no model. Enter a client's key to ask one.")
    : keyHint("to ask a model");
  show(byId("try-hint"), hint ?? "");
  byId("send").disabled = Boolean(running) || !session.isAccepted || session.isAdmin;
}

/** What an answer took, in milliseconds since the question, and its usage. */
class Measured {
  began = performance.now();
  first = undefined;
  ended = undefined;
  usage = undefined;
  account = undefined;

  /** Notes that some of the answer, or of the thoughts before it, has come. */
  heard() {
    this.first ??= performance.now();
  }

  figures() {
    const { began, first, ended, usage, account } = this;
    // Of an answer that came at once no rate is told.
    const seconds = first && ended > first + 50 ? (ended - first) / 1000 : 0;
    const thought = usage?.completion_tokens_details?.reasoning_tokens;
    const cached = usage?.prompt_tokens_details?.cached_tokens;
    const list = [
      ["first token", first && exactDuration(first - began)],
      ["in all", ended && exactDuration(ended - began)],
      ["tokens a second", usage && seconds > 0 && (usage.completion_tokens / seconds).toFixed(1)],
      ["input tokens", usage && whole(usage.prompt_tokens) + (cached ? ` (${whole(cached)} cached)` : "")],
      ["output tokens", usage && whole(usage.completion_tokens) + (thought ? ` (${whole(thought)} thinking)` : "")],
      ["account", account],
    ];
    return list.filter(([, value]) => value).map(([term, value]) => element("div", {}, element("dt", {}, term), element("dd", {}, value)));
  }
}

/** Streams one answer into the page. Throws what `request` does, and a GatewayError for a stream that breaks. */
async function ask(model, prompt, measured, signal) {
  const response = await request("/v1/chat/completions", {
    method: "POST",
    accept: "text/event-stream",
    signal,
    body: {
      model,
      messages: [{ role: "user", content: prompt }],
      stream: true,
      stream_options: { include_usage: true },
    },
  });
  measured.account = response.headers.get("x-qwen-account");
  for await (const data of events(response.body)) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data);
    if (chunk.error) throw errorOf(chunk, response.status, response.headers);
    if (chunk.usage) measured.usage = chunk.usage;
    const delta = chunk.choices?.[0]?.delta ?? {};
    if (delta.reasoning_content) {
      measured.heard();
      byId("thinking").hidden = false;
      byId("thoughts").append(delta.reasoning_content);
      say("Thinking …");
    }
    if (delta.content) {
      measured.heard();
      byId("text").append(delta.content);
      say("Answering …");
    }
  }
  throw new GatewayError("The answer broke off.", {
    status: response.status,
    requestId: response.headers.get("x-request-id"),
  });
}

async function send(event) {
  event.preventDefault();
  if (running || byId("send").disabled) return;
  running = new AbortController();
  const measured = new Measured();
  for (const id of ["thoughts", "text", "try-error", "figures"]) byId(id).replaceChildren();
  byId("thinking").hidden = true;
  byId("thinking").open = false;
  byId("answer").hidden = false;
  byId("answer").setAttribute("aria-busy", "true");
  byId("send").disabled = true;
  byId("stop").disabled = false;
  say("Waiting for Qwen …");
  try {
    await ask(byId("model").value, byId("prompt").value, measured, running.signal);
    say("Done.");
  } catch (error) {
    if (running.signal.aborted) say("Stopped.");
    else {
      say("");
      show(byId("try-error"), errorBox(known(error)));
    }
  }
  measured.ended = performance.now();
  byId("figures").replaceChildren(...measured.figures());
  byId("answer").removeAttribute("aria-busy");
  byId("stop").disabled = true;
  running = undefined;
  showHint();
}

/** A connection that breaks in the middle of a body is a TypeError of fetch. */
const known = (error) => (error instanceof GatewayError ? error : new GatewayError("The connection broke off."));

export const tryPart = {
  start() {
    byId("try-form").addEventListener("submit", send);
    byId("stop").addEventListener("click", () => running?.abort());
    byId("prompt").addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("try-form").requestSubmit();
    });
    session.addEventListener("change", () => {
      showHint();
      if (!byId("try-part").hidden) listModels();
    });
  },
  enter() {
    showHint();
    listModels();
  },
};
