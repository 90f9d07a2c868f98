"""A request for hosts that speak chat completions only."""

import os
from functools import partial
from typing import Any
from zlib import crc32

from qwen_worker.api.chat.affinity import conversation_key
from qwen_worker.api.chat.dialect import ChatDialect
from qwen_worker.api.context import Context
from qwen_worker.api.responses.dialect import ResponsesDialect
from qwen_worker.api.responses.request import Asked, Translated, to_chat
from qwen_worker.api.responses.stream import ResponsesTranslator
from qwen_worker.upstream.bridged_chat import bridged_body, prepare_bridged
from qwen_worker.upstream.call import Call, Prepared, Target
from qwen_worker.upstream.chat_body import ChatBody

CHAT = ChatDialect(include_usage=True)


def bridged_call(
    body: dict[str, Any], context: Context, *, refers_back: bool = False, may_be_native: bool = False
) -> Call:
    """The request, translated. Raises InvalidRequest.

    See `ResponsesTranslator` for `refers_back`, `ResponsesDialect` for `may_be_native`.
    """
    request = to_chat(body)
    log = context.log
    log.debug("new response request", stream=request.stream, model=request.model)
    if request.ignored:
        log.debug("left out of the request", types=request.ignored)
    translator = new_translator(request.asked, request.model, context, refers_back=refers_back)
    chat = bridged_body(_streamed(request))
    return Call(
        request.model,
        request.stream,
        partial(_affinity_key, request, chat),
        ResponsesDialect(translator, may_be_native=may_be_native),
        partial(_prepare, request.model, chat, translator),
        get_ready=translator.get_ready,
    )


def new_translator(
    asked: Asked, model: str | None, context: Context, *, refers_back: bool = False
) -> ResponsesTranslator:
    """The translator for a request with this context."""
    return ResponsesTranslator(
        asked,
        model=model or context.settings.default_model,
        random_hex=lambda: os.urandom(16).hex(),
        now_ms=context.runtime.clock.now_ms,
        event_error=context.errors.in_event,
        refers_back=refers_back,
    )


def _streamed(request: Translated) -> dict[str, object]:
    """The chat request; of a stream the usage is asked for, which the last event tells."""
    if not request.stream:
        return request.chat
    return {**request.chat, "stream": True, "stream_options": {"include_usage": True}}


def _affinity_key(request: Translated, chat: ChatBody) -> int:
    if request.prompt_cache_key is not None:
        return crc32(request.prompt_cache_key.encode("utf-8", "replace"))
    return conversation_key(chat)


def _prepare(model: str | None, chat: ChatBody, translator: ResponsesTranslator, target: Target) -> Prepared:
    """The request as one host takes it. Raises InvalidRequest."""
    url, body = prepare_bridged(chat, model, target)
    return Prepared(url, body, CHAT, translator)
