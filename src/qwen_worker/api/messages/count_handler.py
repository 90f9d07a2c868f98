"""POST /v1/messages/count_tokens."""

from typing import TYPE_CHECKING, Any, cast

from qwen_worker.api.body import read_body
from qwen_worker.api.context import Context
from qwen_worker.api.json_response import json_response
from qwen_worker.api.messages.count_tokens import estimate_input_tokens
from qwen_worker.api.messages.dialect import MessagesDialect
from qwen_worker.api.messages.handler import native_base_url, version_header
from qwen_worker.api.messages.model_name import model_for
from qwen_worker.api.messages.request import MessagesRequest, parse_messages_request
from qwen_worker.api.messages.thinking import thinking_facts
from qwen_worker.config.account import AccountSettings
from qwen_worker.dialect import Completion
from qwen_worker.errors import NotFound, ProxyError
from qwen_worker.models import facts_of
from qwen_worker.upstream.attempts import Exchange, open_on_account
from qwen_worker.upstream.call import Call, Prepared, Target

if TYPE_CHECKING:
    from qwen_worker.upstream.whole_answer import WholeAnswer

HOST_SECONDS = 3.0
"""How long a host may take to count: Claude Code counts thirteen times at once, and waits for all of them."""


async def count_tokens(context: Context) -> None:
    """`{"input_tokens": N}`: counted by the host if it can, otherwise estimated, within 15 % of Qwen's own
    tokenizer. Raises InvalidRequest.
    """
    request = parse_messages_request(await read_body(context), is_count=True)
    counted = await _counted_by_host(request, context)
    if counted is None:
        counted = estimate_input_tokens(request.body())
    context.respond(json_response({"input_tokens": counted}))


async def _counted_by_host(request: MessagesRequest, context: Context) -> int | None:
    """The count of the host that would get the message first; None if it does not count.

    The host is asked once. Whatever it answers, no account gets a cooldown: messages show better whether it
    works.
    """
    settings = context.settings
    model = model_for(request.model, aliases=settings.model_aliases, default=settings.default_model)
    call = Call(
        model,
        stream=False,
        affinity_key=int,
        dialect=_CountDialect(context.request_id),
        prepare=lambda target: _prepared(request, target, context),
    )
    exchange = Exchange(
        call,
        request_id=context.request_id,
        user_agent=context.request.header("user-agent"),
        timeout_seconds=HOST_SECONDS,
        errors=context.errors,
        runtime=context.runtime,
        log=context.log,
    )
    try:
        ready = context.pool.first_ready(model, context.runtime.clock.now_ms())
        if ready is None or _is_surely_bridged(ready[0].settings):
            return None
        account, name = ready
        patience_ms = int(HOST_SECONDS * 1000)
        opened = await open_on_account(exchange, account.access(name), attempts=1, patience_ms=patience_ms)
    except ProxyError as error:
        context.log.debug("tokens not counted by the host", code=error.code, status=error.upstream_status)
        return None
    return int(cast("WholeAnswer", opened.content).value["input_tokens"])


def _is_surely_bridged(account: AccountSettings) -> bool:
    """Whether the message would surely be bridged. Needs no token, which might have to be refreshed first."""
    return account.messages == "bridged" or (account.messages is None and account.kind == "oauth")


def _prepared(request: MessagesRequest, target: Target, context: Context) -> Prepared:
    """The request as a host takes it. Raises NotFound for a host that does not count."""
    base_url = native_base_url(target)
    if base_url is None:
        raise NotFound("This host does not count tokens.")
    from qwen_worker.api.messages.native import native_body

    return Prepared(
        f"{base_url}/messages/count_tokens",
        native_body(request, model=target.model, facts=thinking_facts(facts_of(target.model))),
        _CountDialect(context.request_id),
        headers=version_header(context),
    )


class _CountDialect(MessagesDialect):
    """How a host answers when it is asked to count."""

    __slots__ = ()

    def completion_of(self, answer: Any) -> Completion | None:
        """Tells only whether the answer is a count."""
        counted = answer.get("input_tokens") if isinstance(answer, dict) else None
        return Completion() if isinstance(counted, int) and counted >= 0 else None
