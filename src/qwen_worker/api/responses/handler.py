"""POST /v1/responses, and the paths of stored responses, which this gateway does not have."""

from qwen_worker.api.body import read_body
from qwen_worker.api.context import Context
from qwen_worker.api.proxy import proxy
from qwen_worker.api.responses.bridged import bridged_call
from qwen_worker.api.responses.parameters import asked_model
from qwen_worker.errors import NotFound, UpgradeRefused
from qwen_worker.upstream.call import Call
from qwen_worker.validation import json_body


async def create_response(context: Context) -> None:
    """Translates the request into chat completions and the answer back; natively where that is configured."""
    await proxy(_call(await read_body(context), context), context)


def _call(raw: bytes, context: Context) -> Call:
    """What the body asks for. Raises InvalidRequest, NotFound."""
    body = json_body(raw)
    serving = context.pool.serving(asked_model(body))
    if any(account.settings.responses == "native" for account, _ in serving):
        from qwen_worker.api.responses.native import native_call

        return native_call(raw, body, context)
    return bridged_call(body, context, refers_back=_refers_back(raw, context))


def _refers_back(raw: bytes, context: Context) -> bool:
    """Whether the client will send `item_reference`s: the Vercel AI SDK does, and so does a client that has
    just sent one.
    """
    user_agent = context.request.header("user-agent") or ""
    return "ai-sdk" in user_agent or b'"item_reference"' in raw


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
