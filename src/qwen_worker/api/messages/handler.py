"""POST /v1/messages."""

import json
import os
from functools import partial
from typing import Any
from zlib import crc32

from qwen_worker.api.body import read_body
from qwen_worker.api.chat.dialect import ChatDialect
from qwen_worker.api.context import Context
from qwen_worker.api.messages.count_tokens import early_input_tokens, estimate_input_tokens
from qwen_worker.api.messages.dialect import MessagesDialect
from qwen_worker.api.messages.errors import too_long
from qwen_worker.api.messages.model_name import model_for
from qwen_worker.api.messages.request import Array, MessagesRequest, parse_messages_request
from qwen_worker.api.messages.stream import AnswerFacts, MessagesStream
from qwen_worker.api.messages.thinking import ModelFacts, thinking_facts
from qwen_worker.api.proxy import proxy
from qwen_worker.errors import ProxyError
from qwen_worker.models import facts_of
from qwen_worker.upstream.call import Call, Prepared, Target
from qwen_worker.upstream.hosts import messages_base_url

CHAT = ChatDialect(include_usage=True)

ANTHROPIC_VERSION = "2023-06-01"
"""What is sent to a host that speaks Messages if the client names no version."""


async def create_message(context: Context) -> None:
    """Sends the request to a host that speaks Messages, or through chat completions to any other."""
    await proxy(_call(await read_body(context), context), context)


def _call(raw: bytes, context: Context) -> Call:
    """What the body asks for. Raises InvalidRequest."""
    request = parse_messages_request(raw)
    settings = context.settings
    model = model_for(request.model, aliases=settings.model_aliases, default=settings.default_model)
    context.log.debug("new message request", stream=request.stream, model=model)
    message = _Message(request, model, context)
    return Call(
        model,
        request.stream,
        partial(_affinity_key, request),
        message.dialect,
        message.prepare,
        message.explain,
    )


class _Message:
    """One request, which may go to any host."""

    def __init__(self, request: MessagesRequest, model: str, context: Context) -> None:
        self._request = request
        self._context = context
        self._asked_model = request.model or model
        self.dialect = MessagesDialect(context.request_id)

    def explain(self, error: ProxyError) -> None:
        """Adds the length of the prompt to an error about a prompt that is too long."""
        if error.code == "context_length_exceeded":
            error.message = too_long(error.message, estimate_input_tokens(self._request.body()))

    def prepare(self, target: Target) -> Prepared:
        """The request as one host takes it. Raises InvalidRequest."""
        facts = thinking_facts(facts_of(target.model))
        base_url = native_base_url(target)
        return self._bridged(target, facts) if base_url is None else self._native(base_url, target, facts)

    def _native(self, base_url: str, target: Target, facts: ModelFacts) -> Prepared:
        from qwen_worker.api.messages.native import native_body

        return Prepared(
            f"{base_url}/messages",
            native_body(self._request, model=target.model, facts=facts),
            self.dialect,
            headers=version_header(self._context),
            retouch=partial(name_the_asked_model, target.model, self._asked_model),
        )

    def _bridged(self, target: Target, facts: ModelFacts) -> Prepared:
        from qwen_worker.api.messages.bridge import chat_body
        from qwen_worker.upstream.bridged_chat import bridged_body, prepare_bridged

        body = self._request.body()
        is_qwen_host = target.family != "other"
        chat = chat_body(
            body,
            model=target.model,
            facts=facts,
            cache_marks=is_qwen_host,
            knows_qwen_fields=is_qwen_host,
        )
        url, chat_text = prepare_bridged(bridged_body(chat), target.model, target)
        translator = MessagesStream(
            AnswerFacts(
                message_id=f"msg_{os.urandom(12).hex()}",
                request_id=self._context.request_id,
                model=self._asked_model,
                stop_sequences=self._request.stop_sequences,
                input_tokens=early_input_tokens(body, self._request.text_of("tools")),
            ),
            event_error=self._context.errors.in_event,
        )
        return Prepared(url, chat_text, CHAT, translator)


def native_base_url(target: Target) -> str | None:
    """Where the host of a target has `/messages`; None where the request is bridged.

    A login's host is asked natively only if its description says so: nobody has seen the portal speak it.
    """
    way = target.ways.messages
    if way == "bridged" or (way is None and target.kind == "oauth"):
        return None
    known = messages_base_url(target.base_url)
    return target.base_url if known is None and way == "native" else known


def version_header(context: Context) -> dict[str, str]:
    """The version of the API that the client speaks, for a host that speaks it too."""
    return {"anthropic-version": context.request.header("anthropic-version") or ANTHROPIC_VERSION}


def name_the_asked_model(host_model: str, asked_model: str, answer: bytes) -> bytes:
    """The beginning of an answer with the model that the client has asked for, in place of the host's name.

    A quotation mark inside a JSON string is escaped, so this finds a real field only.
    """
    for colon in (b":", b": "):
        told = b'"model"' + colon + json.dumps(host_model).encode()
        if told in answer:
            return answer.replace(told, b'"model"' + colon + json.dumps(asked_model).encode(), 1)
    return answer


def _affinity_key(request: MessagesRequest) -> int:
    """A number that is the same for all requests of a conversation. It is made from the session that Claude
    Code names and from the beginning of the first message, since a session also asks about other things.
    """
    messages: Any = request.members["messages"].value
    session = crc32((request.user_id or "").encode("utf-8", "replace"))
    if not isinstance(messages, Array):
        return session
    items = messages.items
    start = items.start(0)
    return crc32(request.raw[start : min(items.end(0), start + 4096)], session)
