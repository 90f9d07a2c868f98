"""A Responses request as a chat completions request, and what the answer must know of it."""

from typing import Any, NamedTuple

from qwen_worker.api.responses.conversation import Conversation
from qwen_worker.api.responses.input_items import check_input_is_there, read_input, tools_in_input
from qwen_worker.api.responses.parameters import asked_model, chat_parameters, check, echo
from qwen_worker.api.responses.tools import Tools, choose_tools, convert_tools
from qwen_worker.errors import InvalidRequest


class Asked(NamedTuple):
    """What the answer must know of the request."""

    tools: Tools
    echo: dict[str, Any]
    """The parameters as the response repeats them; see `parameters.echo`."""
    carries_texts: bool
    """Whether the ids that we give out carry their text: the client has not said `store: false`."""


class Translated(NamedTuple):
    """A request in chat's words."""

    chat: dict[str, Any]
    """The body of a chat completions request."""
    asked: Asked
    model: str | None
    """The model that the client names."""
    stream: bool
    prompt_cache_key: str | None
    """What the client says its conversation is, if it does."""
    ignored: tuple[str, ...]
    """The types of tools and items that were left out, for the log."""


def to_chat(body: dict[str, Any]) -> Translated:
    """Translates the parsed body of POST /v1/responses. Raises InvalidRequest, whose `param` is a path in
    this body, and nothing else, whatever JSON the body is.
    """
    check(body)
    check_input_is_there(body)
    tools = convert_tools((body.get("tools") or []) + tools_in_input(body["input"]))
    conversation = Conversation()
    if body.get("instructions"):
        conversation.add_message("system", [{"type": "text", "text": body["instructions"]}])
    ignored_items = read_input(body["input"], tools, conversation)
    messages = conversation.messages()
    if not messages:
        raise InvalidRequest(
            "Invalid 'input': expected at least one message.", param="input", code="empty_array"
        )
    chat = {**chat_parameters(body), "messages": messages}
    functions, choice = choose_tools(body.get("tool_choice"), tools)
    if functions:
        chat["tools"] = functions
        if choice is not None:
            chat["tool_choice"] = choice
        if body.get("parallel_tool_calls") is not None:
            chat["parallel_tool_calls"] = body["parallel_tool_calls"]
    return Translated(
        chat=chat,
        asked=Asked(tools, echo(body), body.get("store") is not False),
        model=asked_model(body),
        stream=body.get("stream") is True,
        prompt_cache_key=body.get("prompt_cache_key") or None,
        ignored=(*dict.fromkeys(tools.ignored + ignored_items),),
    )
