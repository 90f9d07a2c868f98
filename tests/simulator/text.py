"""What the simulator says to a person: a short readable text about what was asked."""

from __future__ import annotations

import re

from tests.simulator.json_types import JsonObject, JsonValue, as_list, as_object, as_text

_LONGEST_QUOTE = 200


def text_of(message: JsonObject) -> str:
    """Return the text of a message whose content is a string, an array of parts or absent."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "\n".join(as_text(as_object(part).get("text")) for part in as_list(content)).strip()


def answer_text(body: JsonObject) -> str:
    """Compose the answer to a chat request."""
    messages = [as_object(message) for message in as_list(body.get("messages"))]
    if messages and messages[-1].get("role") == "tool":
        return f"The tool answered {_quoted(text_of(messages[-1]))}. That is all this simulator makes of it."
    asked = next((message for message in reversed(messages) if message.get("role") == "user"), {})
    model = as_text(body.get("model")) or "a model"
    sentences = [
        f"Hello from the Qwen simulator, here in the part of {model}.",
        f"You asked {_quoted(text_of(asked))}." if text_of(asked) else "You asked nothing in words.",
        *_about_parts(asked.get("content")),
        f"This conversation has {len(messages)} message{'s' if len(messages) != 1 else ''} so far.",
        "There is no model behind these words; set your own credentials to talk to Qwen itself.",
    ]
    return " ".join(sentences)


def thoughts(body: JsonObject) -> str:
    """Compose the reasoning that goes before the answer in thinking mode."""
    count = len(as_list(body.get("messages")))
    return f"The user sent {count} message{'s' if count != 1 else ''}. A short greeting will do."


def deltas_of(text: str) -> list[str]:
    """Cut a text into small deltas as a model streams it: words with their leading space."""
    return re.findall(r"\s*\S+\s*$|\s*\S+", text) or ([text] if text else [])


def _about_parts(content: JsonValue) -> list[str]:
    images = sum(1 for part in as_list(content) if as_object(part).get("type") == "image_url")
    if not images:
        return []
    return [f"With it came {images} image{'s' if images != 1 else ''}, which a simulator cannot see."]


def _quoted(text: str) -> str:
    text = " ".join(text.split())
    shortened = text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE].rstrip() + "…"
    return f"“{shortened}”"
