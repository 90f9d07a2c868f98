"""A legacy completion as a chat completion, for hosts and models that have no other."""

from typing import Any

from qwen_worker.api.completions.gap import Gap
from qwen_worker.api.completions.request import CompletionsRequest
from qwen_worker.models import facts_of
from qwen_worker.upstream.call import Target

_CONTINUE = (
    "Continue the assistant's message exactly where it breaks off, in the same language and style. Write "
    "only what follows, and nothing of what is there already."
)
_FILL = (
    "You fill a gap in a text, mostly source code. The user shows what stands before the gap and what stands "
    "after it. Answer with exactly the characters that belong into the gap, line breaks and indentation "
    "included, and with nothing else: no explanation, no code fence, nothing of what stands before or after."
)

_NOT_CHAT = ("prompt", "suffix", "echo", "best_of", "logprobs")


def chat_body(request: CompletionsRequest, gap: Gap, target: Target) -> dict[str, Any]:
    """The body of the chat completion that answers one prompt."""
    chat = {name: value for name, value in request.fields.items() if name not in _NOT_CHAT}
    for name in ("stream", "stream_options"):
        chat.pop(name, None)
    if request.stream:
        # Its usage is counted, whether or not the client wants to know it.
        chat |= {"stream": True, "stream_options": {"include_usage": True}}
    if gap.after:
        # A stop word that the opening of a code fence meets would end the answer there; it is ours to watch.
        chat["stop"] = [word for word in request.stops if not word.startswith(("`", "\n"))]
        if not chat["stop"]:
            del chat["stop"]
    can_think = facts_of(target.model).thinking in ("by default", "on request")
    if target.family != "other" and can_think:
        # An editor does not wait for thoughts, and a thinking model refuses to continue a message.
        chat.setdefault("enable_thinking", False)
    return {**chat, "model": target.model, "messages": _messages(gap)}


def _messages(gap: Gap) -> list[dict[str, Any]]:
    if gap.after:
        context = f"<context>\n{gap.context}\n</context>\n" if gap.context else ""
        shown = f"{context}<before>{gap.before}</before>\n<after>{gap.after}</after>"
        return [{"role": "system", "content": _FILL}, {"role": "user", "content": shown}]
    messages: list[dict[str, Any]] = [{"role": "user", "content": _CONTINUE}]
    if gap.context:
        messages.insert(0, {"role": "system", "content": gap.context})
    if gap.before:
        # Prefix continuation (Model Studio, Partial mode): the model goes on from the end of this message.
        messages.append({"role": "assistant", "content": gap.before, "partial": True})
    return messages
