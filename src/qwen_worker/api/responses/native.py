"""A request for accounts of which some speak the Responses API themselves: the client's bytes go there.

What the host stores and runs (earlier responses, conversations, hosted tools) is beyond chat completions, so
the request is translated only for the other accounts, and only if it can be.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import Any
from zlib import crc32

from qwen_worker.api.context import Context
from qwen_worker.api.responses.bridged import bridged_call, new_translator
from qwen_worker.api.responses.dialect import ResponsesDialect
from qwen_worker.api.responses.native_end import KEPT_BYTES
from qwen_worker.api.responses.parameters import asked_model, echo
from qwen_worker.api.responses.request import Asked
from qwen_worker.api.responses.tools import Tools
from qwen_worker.errors import InvalidRequest
from qwen_worker.json_scan import scan_object, skip_spaces
from qwen_worker.upstream.call import Call, Prepared, Target
from qwen_worker.validation import body_text, boolean

SESSION_CACHE_HEADER = "x-dashscope-session-cache"
"""Asks Qwen to cache the prompt for the next request, which has another price (apis-on-the-wire 1.1)."""

_READ_BYTES = 4096
"""How much of a request is read to recognise its conversation."""


def native_call(raw: bytes, body: dict[str, Any], context: Context) -> Call:
    """The request for these accounts. Raises InvalidRequest for what no Responses API takes; what is wrong
    for one host only is reported when that host is asked.
    """
    if body.get("stream") is not None:
        boolean("stream", body["stream"])
    model, stream = asked_model(body), body.get("stream") is True
    bridged: Call | InvalidRequest
    key: Callable[[], int]
    try:
        bridged = bridged_call(body, context, may_be_native=True)
        key, dialect = bridged.affinity_key, bridged.dialect
    except InvalidRequest as problem:
        bridged = problem
        translator = new_translator(Asked(Tools([], {}, []), echo({}), False), model, context)
        key, dialect = partial(crc32, raw[:_READ_BYTES]), ResponsesDialect(translator, may_be_native=True)
    cache = context.request.header(SESSION_CACHE_HEADER)
    headers = {} if cache is None else {SESSION_CACHE_HEADER: cache}

    def prepare(target: Target) -> Prepared:
        if target.ways.responses == "native":
            url, sent = f"{target.base_url}/responses", native_body(raw, target.model)
            return Prepared(url, sent, dialect, headers=headers, kept_bytes=KEPT_BYTES)
        if isinstance(bridged, InvalidRequest):
            raise bridged
        return bridged.prepare(target)

    return Call(model, stream, key, dialect, prepare)


def native_body(raw: bytes, model: str) -> bytes:
    """The client's bytes, with the host's name of the model. The body has been parsed before."""
    raw, text = body_text(raw)
    member = scan_object(text, skip_spaces(text, 0)).members.get("model")
    name = json.dumps(model).encode()
    if member is None:
        start = text.index("{") + 1
        return raw[:start] + b'"model":' + name + b"," + raw[start:]
    return raw if member.value == model else raw[: member.value_start] + name + raw[member.end :]
