"""POST /v1/responses, and the paths of stored responses, which this gateway does not have."""

import os
from functools import partial
from zlib import crc32

from qwen_worker.api.body import read_body
from qwen_worker.api.chat.affinity import conversation_key
from qwen_worker.api.chat.dialect import ChatDialect
from qwen_worker.api.context import Context
from qwen_worker.api.proxy import proxy
from qwen_worker.api.responses.dialect import ResponsesDialect
from qwen_worker.api.responses.request import Translated, to_chat
from qwen_worker.api.responses.stream import ResponsesTranslator
from qwen_worker.errors import NotFound, UpgradeRefused
from qwen_worker.upstream.bridged_chat import bridged_body, prepare_bridged
from qwen_worker.upstream.call import Call, Prepared, Target
from qwen_worker.upstream.chat_body import ChatBody
from qwen_worker.validation import json_body

CHAT = ChatDialect(include_usage=True)


async def create_response(context: Context) -> None:
    """Translates the request into chat completions and the answer back; natively where that is configured."""
    await proxy(_call(await read_body(context), context), context)


def _call(raw: bytes, context: Context) -> Call:
    """What the body asks for. Raises InvalidRequest."""
    request = to_chat(json_body(raw))
    log = context.log
    log.debug("new response request", stream=request.stream, model=request.model)
    if request.ignored:
        log.debug("left out of the request", types=request.ignored)
    translator = ResponsesTranslator(
        request.asked,
        model=request.model or context.settings.default_model,
        random_hex=lambda: os.urandom(16).hex(),
        now_ms=context.runtime.clock.now_ms,
        event_error=context.errors.in_event,
    )
    dialect = ResponsesDialect(translator)
    chat = bridged_body(_streamed(request))
    return Call(
        request.model,
        request.stream,
        _affinity_key(request, chat),
        dialect,
        partial(_prepare, raw, request, chat, dialect, translator),
    )


def _streamed(request: Translated) -> dict[str, object]:
    """The chat request. For a stream it asks for the usage, which the last event holds."""
    if not request.stream:
        return request.chat
    return {**request.chat, "stream": True, "stream_options": {"include_usage": True}}


def _affinity_key(request: Translated, chat: ChatBody) -> int:
    if request.prompt_cache_key is not None:
        return crc32(request.prompt_cache_key.encode("utf-8", "replace"))
    return conversation_key(chat)


def _prepare(
    raw: bytes,
    request: Translated,
    chat: ChatBody,
    dialect: ResponsesDialect,
    translator: ResponsesTranslator,
    target: Target,
) -> Prepared:
    """The request as one host takes it. Raises InvalidRequest."""
    if target.ways.responses == "native":
        from qwen_worker.api.responses.native import native_body

        return Prepared(f"{target.base_url}/responses", native_body(raw, target.model), dialect)
    url, body = prepare_bridged(chat, request.model, target)
    return Prepared(url, body, CHAT, translator)


async def refuse_websocket(context: Context) -> None:
    """Codex's built-in provider tries a WebSocket first; a 426 makes it send a POST at once, while 404 and
    405 cost its user six seconds at each start (apis-on-the-wire 2.2). Raises UpgradeRefused, NotFound.
    """
    if context.request.header("upgrade") is not None:
        raise UpgradeRefused("Responses are not served over WebSocket. Send a POST request.")
    await stored_response(context)


async def stored_response(context: Context) -> None:
    """Raises NotFound: there are no stored responses."""
    raise NotFound(
        "No response is stored here: this gateway keeps no conversations. Send the whole input with each "
        "request, and set store to false."
    )
