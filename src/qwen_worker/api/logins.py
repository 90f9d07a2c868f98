"""/v1/logins: logins made at the gateway itself, by Qwen's device flow. For ADMIN_KEY only.

A login is `{"id", "object": "login", "label", "status", "created", "expires_at"}`, times in seconds since the
Unix epoch; `expires_at` is the end of its device code, and null once it is an account.
"""

from typing import Any

from qwen_worker.accounts.device_login import DeviceLogins, not_stored
from qwen_worker.accounts.kept_logins import UNKNOWN, KeptLogin
from qwen_worker.accounts.login_upkeep import erase, read_logins
from qwen_worker.accounts.pending_logins import PendingLogin
from qwen_worker.api.body import read_body
from qwen_worker.api.chat.handler import chat_call
from qwen_worker.api.context import Context
from qwen_worker.api.json_response import json_response
from qwen_worker.config.client_keys import ADMIN, ANYONE
from qwen_worker.config.labels import LABEL_RULE, is_label
from qwen_worker.credentials.device_flow import CLOSED_MESSAGE
from qwen_worker.errors import (
    CredentialsRejected,
    InvalidApiKey,
    InvalidRequest,
    NotFound,
    NotPermitted,
    ProxyError,
)
from qwen_worker.platform.ports import Response
from qwen_worker.upstream.attempts import AccountAccess, Exchange, open_on_account
from qwen_worker.validation import json_body, missing, wrong_type

MESSAGES = {
    "pending": "Open the link, compare the code, and approve the login at Qwen.",
    "active": "The login is an account of this gateway.",
    "denied": "The login was denied at Qwen.",
    "expired": "The code has expired. Begin another login.",
    "closed": CLOSED_MESSAGE,
}
"""By status."""

CHECK_SECONDS = 10.0
"""How long the API may take to answer with a new token."""

_QUESTION = b'{"messages":[{"role":"user","content":"Hello"}],"max_tokens":1}'


async def list_logins(context: Context) -> None:
    """The logins that are accounts: `{"object": "list", "data": [login, ...]}`, oldest first."""
    logins = _Logins(context)
    await logins.read()
    data = [_kept(login) for login in logins.book.living]
    context.respond(_response(200, {"object": "list", "data": data}))


async def create_login(context: Context) -> None:
    """Begins a login: `{"label"?}` -> 201 with the link and the code for the user.

    Raises InvalidRequest, and ProxyError with the code `login_closed` or what kept Qwen from answering.
    """
    logins = _Logins(context)
    body = await _body(context)
    await logins.read()
    label = _label_in(body)
    if label is None:
        label = logins.next_label()
    logins.check_label(label)
    login = await logins.devices.start(label)
    context.respond(_response(201, _pending(login, login.interval_seconds)))


async def retrieve_login(context: Context) -> None:
    """One login, with a `message`; Qwen is asked at most once, and not before the interval is over.

    `status` is pending, active, denied, expired or closed. Raises NotFound (login_not_found).
    """
    logins = _Logins(context)
    found = await logins.find()
    if isinstance(found, KeptLogin):
        context.respond(_response(200, {**_kept(found), "message": MESSAGES["active"]}))
        return
    polls = await logins.devices.look(found)
    context.respond(_response(200, _pending(polls.login, polls.interval_seconds, polls.trouble)))


async def rename_login(context: Context) -> None:
    """Gives a login another label: `{"label"}`. Raises InvalidRequest, NotFound (login_not_found)."""
    logins = _Logins(context)
    body = await _body(context)
    await logins.read()
    found = await logins.find()
    label = _label_in(body)
    if label is None:
        raise missing("label")
    if label != found.label:
        logins.check_label(label)
    if isinstance(found, PendingLogin):
        renamed = found._replace(label=label)
        await logins.devices.change(renamed)
        # It may be an account by now, where KV does not show it here yet.
        logins.book.given_labels[found.id] = (label, context.runtime.clock.now_ms())
        context.respond(_response(200, _pending(renamed, renamed.interval_seconds)))
        return
    kept = found._replace(label=label, changed_ms=logins.now_after(found))
    await logins.change(kept)
    context.log.info("login renamed", label=label)
    context.respond(_response(200, _kept(kept)))


async def delete_login(context: Context) -> None:
    """Removes a login, or cancels a pending one: `{"id", "object", "deleted": true}`.

    Raises NotFound (login_not_found).
    """
    logins = _Logins(context)
    is_repeated = context.argument in logins.book.unwritten
    await logins.read()
    found = await logins.find(is_to_go=is_repeated)
    if isinstance(found, PendingLogin):
        await logins.devices.change(found.ended("cancelled", found.identity))
        # It may be an account by now, where KV does not show it here yet.
        found = KeptLogin(found.id, found.label, found.identity or UNKNOWN, found.created_s, 0)
    await logins.change(found._replace(is_removed=True, changed_ms=logins.now_after(found)))
    if not await erase(found.identity, context.pool, context.runtime, context.log):
        raise not_stored()
    context.log.info("login removed", label=found.label)
    context.respond(_response(200, {"id": found.id, "object": "login", "deleted": True}))


class _Logins:
    """The logins as one request of the admin sees them. Raises NotPermitted, InvalidApiKey, NotFound."""

    def __init__(self, context: Context) -> None:
        if context.client is ANYONE:
            raise InvalidApiKey("Only the admin may see and make logins. Send the key that ADMIN_KEY holds.")
        if context.client is not ADMIN:
            raise NotPermitted(
                "Only the admin key may see and make logins, and this is a client's.",
                code="admin_key_required",
            )
        book, kv = context.pool.logins, context.runtime.kv
        if book is None or kv is None:
            raise NotFound(
                "Logins are kept in KV, and this gateway has no namespace bound as QWEN_KV.",
                code="logins_not_kept",
            )
        self.book = book
        self._context = context
        self.devices = DeviceLogins(
            context.pool,
            book,
            kv,
            context.settings.oauth_base_url,
            context.runtime,
            context.log,
            self._is_refused,
        )

    async def read(self) -> None:
        """Reads what KV has now."""
        await read_logins(self._context.pool, self._context.runtime, self._context.log)
        if not self.book.is_read:
            raise not_stored()

    async def find(self, *, is_to_go: bool = False) -> KeptLogin | PendingLogin:
        """The login that the path names. Raises NotFound; not for a removed one if it `is_to_go`, because KV
        failed when it was removed.
        """
        name = self._context.argument
        kept = self.book.logins.get(name)
        if kept is None and name.isascii() and name.replace("_", "").isalnum():
            pending = await self.devices.find(name)
            if pending is not None and pending.status == "pending":
                return pending
            await self.read()
            kept = self.book.logins.get(name)
            if kept is None and pending is not None and pending.status not in ("active", "cancelled"):
                return pending
            if kept is None and pending is not None and pending.status == "active":
                # KV does not show here yet that it is an account.
                return KeptLogin(name, pending.label, pending.identity, pending.created_s, 0)
        if kept is None or (kept.is_removed and not is_to_go):
            raise NotFound("There is no such login.", code="login_not_found", param="id")
        return kept

    async def change(self, login: KeptLogin) -> None:
        """Changes a login that is an account. Raises UpstreamUnavailable if KV does not take it."""
        context = self._context
        is_written = await self.book.change(login, context.runtime, context.log)
        context.pool.keep_up()
        if not is_written:
            raise not_stored()

    def now_after(self, login: KeptLogin) -> int:
        """The time of a change, which is later than the last one whatever other clocks say."""
        return max(self._context.runtime.clock.now_ms(), login.changed_ms + 1)

    def check_label(self, label: str) -> None:
        """Raises InvalidRequest for the label of another account."""
        if label in self._taken():
            raise InvalidRequest(f"Another account has the label '{label}' already.", param="label")

    def next_label(self) -> str:
        """The first of `login-1`, `login-2` ... that no account has."""
        taken, number = self._taken(), 1
        while f"login-{number}" in taken:
            number += 1
        return f"login-{number}"

    def _taken(self) -> set[str]:
        own = {login.label for login in self.book.living}
        now_ms = self._context.runtime.clock.now_ms()
        return self._context.pool.labels() | own | self.book.pending.labels(now_ms)

    async def _is_refused(self, account: AccountAccess) -> bool:
        """Whether Qwen's API refuses a token that it has only just issued, as it does since its OAuth tier is
        closed: a question of one word is asked with it.
        """
        context = self._context
        exchange = Exchange(
            chat_call(_QUESTION, context, lambda raw: raw),
            request_id=context.request_id,
            user_agent=None,
            timeout_seconds=CHECK_SECONDS,
            errors=context.errors,
            runtime=context.runtime,
            log=context.log,
        )
        try:
            await open_on_account(exchange, account, attempts=1)
        except CredentialsRejected:
            return True
        except ProxyError as error:
            context.log.info("login not checked", code=error.code)
        return False


async def _body(context: Context) -> dict[str, Any]:
    """The request's body; none at all counts as an empty object. Raises InvalidRequest."""
    raw = await read_body(context)
    return json_body(raw) if raw.strip() else {}


def _label_in(body: dict[str, Any]) -> str | None:
    """The label that a body asks for. Raises InvalidRequest."""
    label = body.get("label")
    if label is None:
        return None
    if not isinstance(label, str):
        raise wrong_type("label", "a string", label)
    if not is_label(label):
        raise InvalidRequest(f"Invalid value for 'label': expected {LABEL_RULE}.", param="label")
    return label


def _kept(login: KeptLogin) -> dict[str, Any]:
    return _login(login.id, login.label, "active", login.created_s, None)


def _pending(login: PendingLogin, interval_seconds: float, trouble: str = "") -> dict[str, Any]:
    """A login that is or was pending; of an account only what an account has."""
    status = "pending" if login.status == "approved" else login.status
    expires_at = None if status == "active" else login.expires_ms // 1000
    body = _login(login.id, login.label, status, login.created_s, expires_at)
    body["message"] = MESSAGES.get(status, "The login was cancelled.")
    if status == "pending":
        if trouble:
            body["message"] += " Qwen did not answer the last question; it is asked again."
        body["user_code"] = login.user_code
        body["verification_uri"] = login.verification_uri
        body["verification_uri_complete"] = login.verification_uri_complete
        body["interval_seconds"] = interval_seconds
    return body


def _login(name: str, label: str, status: str, created_s: int, expires_at: int | None) -> dict[str, Any]:
    return {
        "id": name,
        "object": "login",
        "label": label,
        "status": status,
        "created": created_s,
        "expires_at": expires_at,
    }


def _response(status: int, body: dict[str, Any]) -> Response:
    return json_response(body, cache_control="no-store")._replace(status=status)
