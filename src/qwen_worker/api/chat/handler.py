"""POST /v1/chat/completions."""

from functools import partial

from qwen_worker.api.body import read_body
from qwen_worker.api.chat.affinity import conversation_key
from qwen_worker.api.chat.dialect import ChatDialect
from qwen_worker.api.chat.request import ChatOfResponses, ChatRequest, parse_chat_request
from qwen_worker.api.context import Context
from qwen_worker.api.proxy import proxy
from qwen_worker.dialect import Translator
from qwen_worker.upstream.call import Call, Prepared, Target
from qwen_worker.upstream.error_reader import ErrorReader
from qwen_worker.upstream.rules.prepare import prepare_chat

PATH = "/chat/completions"


async def chat_completions(context: Context, chat_of_responses: ChatOfResponses) -> None:
    """Checks the body, sends it to Qwen and passes the answer on."""
    await proxy(chat_call(await read_body(context), context, chat_of_responses), context)


def chat_call(raw: bytes, context: Context, chat_of_responses: ChatOfResponses) -> Call:
    """What the body asks for. Raises InvalidRequest."""
    request = parse_chat_request(raw, chat_of_responses)
    context.log.debug("new chat completion request", stream=request.stream, model=request.model)
    dialect = ChatDialect(include_usage=request.include_usage)
    return Call(
        request.model,
        request.stream,
        partial(conversation_key, request.body),
        dialect,
        partial(_prepare, request, dialect, context.errors),
    )


def _prepare(request: ChatRequest, dialect: ChatDialect, errors: ErrorReader, target: Target) -> Prepared:
    """The request as one host takes it. Raises InvalidRequest."""
    repairer = partial(_repairer, request.include_usage, errors)
    translator = repairer() if request.stream and _needs_repair(request, target) else None
    return Prepared(
        f"{target.base_url}{PATH}",
        prepare_chat(request.body, request.model, target),
        dialect,
        translator,
        repairer,
    )


def _needs_repair(request: ChatRequest, target: Target) -> bool:
    """Whether a stream is looked at event by event from the start.

    Hosts that are not Qwen's own are known for odd tool calls. With several choices, one may stay unfinished,
    which native relaying would notice only after `[DONE]` has gone out.
    """
    body = request.body
    return (body.value("n") or 1) > 1 or (target.family == "other" and bool(body.value("tools")))


def _repairer(include_usage: bool, errors: ErrorReader) -> Translator:
    from qwen_worker.api.chat.repair import StreamRepairer

    return StreamRepairer(include_usage=include_usage, event_error=errors.in_event)
