"""Asks the host of one account what it has and whom it serves.

First what costs nothing (`/models`), then one chat completion of a few tokens, then requests without content
that tell whether the host has the other APIs.
"""

from __future__ import annotations

import difflib
import json
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from qwen_worker.credentials.credential import Credential
from qwen_worker.errors import (
    CLIENT_NOT_ALLOWED,
    CredentialsRejected,
    NotFound,
    ProxyError,
    QuotaExhausted,
    RateLimited,
    UpstreamBlocked,
)
from qwen_worker.models import facts_of
from qwen_worker.upstream.bridged_chat import bridged_body, prepare_bridged
from qwen_worker.upstream.call import Target
from qwen_worker.upstream.error_reader import ErrorReader
from qwen_worker.upstream.headers import upstream_headers
from qwen_worker.upstream.host_models import lists_models
from qwen_worker.upstream.hosts import family_of, has_embeddings, is_plan_host, messages_base_url
from tools.checks import Check, error, note, ok, warning
from tools.http_client import Answer, Unreachable, ask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qwen_worker.config.account import AccountSettings

MOST_TOKENS = 8
"""How long the answer to the one request may be."""

NO_CODING_TOOL = "OpenAI/Python 3.57.0"
"""How a client that is no coding tool names itself."""

_TIMEOUT_SECONDS = 60.0
_SHOWN_MODELS = 6
_CREDENTIALS = "docs/accounts.md, Get credentials"


class _Refused(Exception):
    """There is no point in asking further. `check` says why."""

    def __init__(self, check: Check) -> None:
        self.check = check


class LiveHost(NamedTuple):
    """The host of an account, and what it is asked with."""

    account: AccountSettings
    credential: Credential
    model: str
    reader: ErrorReader

    def checks(self, *, with_apis: bool = True) -> Iterator[Check]:
        """What the host says; it is asked while this is iterated over."""
        try:
            models = self._models()
            if models is not None:
                yield ok(f"{self._label}: {self._name} lists {len(models)} models")
            yield from self._chat_checks(models)
            if with_apis:
                yield from self._client_checks()
                yield from self._api_checks()
        except _Refused as refused:
            yield refused.check

    @property
    def _label(self) -> str:
        return self.account.label

    @property
    def _name(self) -> str:
        return urlsplit(self.credential.base_url).netloc or self.credential.base_url

    @property
    def _secret(self) -> str:
        return "login" if self.credential.kind == "oauth" else "key"

    # --- models and chat

    def _models(self) -> list[str] | None:
        """What the host lists; None if it lists nothing. Raises _Refused if it does not take the key."""
        if not lists_models(self.credential.kind, self.credential.base_url):
            return None
        answer = self._ask("GET", f"{self.credential.base_url}/models")
        if answer.status in (401, 403):
            raise _Refused(self._refused_key(self._error(answer)))
        data = answer.body.get("data") if answer.status == 200 and isinstance(answer.body, dict) else None
        entries = data if isinstance(data, list) else []
        names = [entry.get("id") for entry in entries if isinstance(entry, dict)]
        return [name for name in names if isinstance(name, str)] or None

    def _chat_checks(self, models: list[str] | None) -> Iterator[Check]:
        """Raises _Refused unless the host answers, or would but for a limit."""
        url, body = prepare_bridged(bridged_body(self._smallest_chat()), self.model, self._target())
        answer = self._ask("POST", url, body)
        completion = answer.body if answer.status == 200 else None
        if isinstance(completion, dict) and completion.get("choices"):
            usage = completion.get("usage")
            tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
            cost = f" ({tokens} tokens)" if isinstance(tokens, int) else ""
            yield ok(
                f"{self._label}: {self._name} takes the {self._secret} and answers with {self.model}{cost}"
            )
            return
        problem = self._error(answer)
        if not isinstance(problem, (QuotaExhausted, RateLimited)):
            raise _Refused(self._explained(problem, models))
        yield warning(
            f"{self._label}: {self._name} takes the {self._secret}, but: {problem}",
            "wait, or add an account (docs/accounts.md, Several accounts)",
        )

    def _smallest_chat(self) -> dict[str, Any]:
        chat: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": "Say ok."}],
            "max_tokens": MOST_TOKENS,
        }
        can_think = facts_of(self.model).thinking in ("by default", "on request")
        if can_think and family_of(self.credential) != "other":
            chat["enable_thinking"] = False
        return chat

    def _target(self) -> Target:
        credential = self.credential
        return Target(credential.kind, family_of(credential), credential.base_url, self.model)

    # --- what a refusal means

    def _explained(self, problem: ProxyError, models: list[str] | None) -> Check:
        label, name = self._label, self._name
        if isinstance(problem, CredentialsRejected):
            return self._refused_key(problem)
        if problem.code == CLIENT_NOT_ALLOWED:
            return error(
                f"{label}: the plan at {name} refuses this client (HTTP {problem.upstream_status})",
                "use a tool that the plan supports, or a pay-as-you-go key",
            )
        if isinstance(problem, NotFound) or (problem.status == 400 and "model" in str(problem).lower()):
            return error(f"{label}: {name} does not serve {self.model}: {problem}", self._other_model(models))
        if isinstance(problem, UpstreamBlocked) or problem.upstream_status in (404, 405):
            return error(
                f"{label}: no chat completions at {self.credential.base_url}: {problem}",
                f"set QWEN_BASE_URL to the address of the service that issued the key ({_CREDENTIALS})",
            )
        return error(f"{label}: {name} fails: {problem}", "ask again later")

    def _other_model(self, models: list[str] | None) -> str:
        if not models:
            return "set DEFAULT_MODEL to a model that the account has"
        near = difflib.get_close_matches(self.model, models, n=_SHOWN_MODELS, cutoff=0.4)
        shown = ", ".join(near or models[:_SHOWN_MODELS])
        return f"set DEFAULT_MODEL to one that it has, such as {shown}"

    def _refused_key(self, problem: ProxyError) -> Check:
        status = f"(HTTP {problem.upstream_status})"
        if self.credential.kind == "oauth":
            return error(
                f"{self._label}: {self._name} refuses the login although it has not expired {status}",
                "Qwen closed the free tier on 2026-04-15: set QWEN_API_KEY and QWEN_BASE_URL",
            )
        return error(
            f"{self._label}: {self._name} refuses the key {status}; key and host must belong together",
            f"set QWEN_BASE_URL to the host that has issued the key ({_CREDENTIALS}), or replace the key",
        )

    # --- clients and APIs, asked without content

    def _client_checks(self) -> Iterator[Check]:
        """Whether a plan serves clients that are no coding tools."""
        if not is_plan_host(self.credential.base_url):
            return
        answer = self._without_content(
            f"{self.credential.base_url}/chat/completions", self.model, NO_CODING_TOOL
        )
        if answer is None:
            return
        if self._error(answer).code == CLIENT_NOT_ALLOWED:
            yield note(
                f"{self._label}: the plan takes coding tools only; it refuses others, such as OpenAI's SDK",
                "it knows them by their User-Agent, which the gateway passes on; "
                "a refusal is the error client_not_allowed",
            )

    def _api_checks(self) -> Iterator[Check]:
        spoken: list[str] = ["chat"]
        missing: list[str] = []
        for name, url, model, way in self._apis():
            has = self._has(url, model)
            if has is not None:
                (spoken if has else missing).append(name)
            if has is False and way == "native":
                yield error(
                    f"{self._label}: {name} is native in the account, but {self._name} does not have it",
                    f'leave "{name}" out of the account: the gateway then translates',
                )
        without = f", and not {', '.join(missing)}" if missing else ""
        yield ok(f"{self._label}: {self._name} speaks {', '.join(spoken)}{without}")

    def _apis(self) -> Iterator[tuple[str, str, str, str | None]]:
        """Name, URL, model and configured way of each API besides chat completions."""
        base_url, account = self.credential.base_url, self.account
        yield "messages", f"{messages_base_url(base_url) or base_url}/messages", self.model, account.messages
        yield "responses", f"{base_url}/responses", self.model, account.responses
        if account.completions == "native":
            yield "completions", f"{base_url}/completions", self.model, account.completions
        if has_embeddings(self.credential.kind, base_url):
            yield "embeddings", f"{base_url}/embeddings", "text-embedding-v4", None

    def _has(self, url: str, model: str) -> bool | None:
        """Whether the host has an API; None if that cannot be told."""
        answer = self._without_content(url, model)
        if answer is None or answer.status >= 500 or answer.status in (401, 403, 429):
            return None
        return answer.status not in (404, 405)

    def _without_content(self, url: str, model: str, user_agent: str | None = None) -> Answer | None:
        """The answer to a request that names a model and nothing else, so that it costs nothing."""
        headers = self._headers() if user_agent is None else {**self._headers(), "user-agent": user_agent}
        try:
            return ask(url, method="POST", headers=headers, body=json.dumps({"model": model}).encode())
        except Unreachable:
            return None

    # --- asking

    def _ask(self, method: str, url: str, body: bytes | None = None) -> Answer:
        try:
            return ask(
                url, method=method, headers=self._headers(), body=body, timeout_seconds=_TIMEOUT_SECONDS
            )
        except Unreachable as problem:
            text = f"{self._label}: {self._name} does not answer: {problem}"
            remedy = "check QWEN_BASE_URL, and whether this machine reaches the internet"
            raise _Refused(error(text, remedy)) from None

    def _headers(self) -> dict[str, str]:
        return upstream_headers(self.credential, request_id=f"doctor-{uuid.uuid4().hex}")

    def _error(self, answer: Answer) -> ProxyError:
        return self.reader.of_response(answer.status, answer.header, answer.text, model=self.model)
