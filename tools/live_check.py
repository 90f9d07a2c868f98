"""Calls each account for real, as the gateway would: `LIVE=1 make doctor`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from qwen_worker.accounts.pool import AccountPool
from qwen_worker.config.login import oauth_api_base_url
from qwen_worker.credentials.credential import Credential
from qwen_worker.models import resolve_model
from qwen_worker.upstream.error_reader import ErrorReader
from tools.checks import Check, error, note
from tools.http_client import is_in_the_clear
from tools.live_host import LiveHost

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from qwen_worker.accounts.pool import Account
    from qwen_worker.config.settings import Settings


def may_call(environment: Mapping[str, str]) -> bool:
    """Whether accounts may be called: as LIVE says, otherwise as the person at the terminal says."""
    said = environment.get("LIVE", "").strip().lower()
    if said or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return said not in ("", "0", "no", "false")
    try:
        answer = input("Call each account for real, with one request of a few tokens? [y/N] ")
    except EOFError:
        return False
    except KeyboardInterrupt:
        print()
        sys.exit(130)
    return answer.strip().lower() in ("y", "yes")


def live_checks(settings: Settings, now_ms: int, *, with_apis: bool = True) -> Iterator[Check]:
    """What each account's host says, `with_apis` also which APIs it has. It is asked while this is iterated
    over.
    """
    for account in AccountPool(settings, {}).accounts:
        if account.settings.login is not None or account.settings.api_key is not None:
            yield from _account_checks(account, settings, now_ms, with_apis)


def _account_checks(account: Account, settings: Settings, now_ms: int, with_apis: bool) -> Iterator[Check]:
    """An access token that has expired is not refreshed: that would spend the refresh token."""
    label, login = account.label, account.settings.login
    if login is not None and not login.is_valid(now_ms):
        how = "a gateway renews it at the first request; make doctor URL=... tells how that went"
        yield note(f"{label}: not called, because its access token has expired", how)
        return
    credential = _credential(account, settings)
    if is_in_the_clear(credential.base_url):
        yield error(f"{label}: not called, its key would be readable on the way", "use an https:// address")
        return
    model = resolve_model(
        account.settings.models[0] if account.settings.models else None,
        default=settings.default_model,
        aliases=settings.model_aliases,
        is_oauth=login is not None,
    )
    reader = ErrorReader((*settings.secrets, credential.secret), lambda: now_ms)
    yield from LiveHost(account.settings, credential, model, reader).checks(with_apis=with_apis)


def _credential(account: Account, settings: Settings) -> Credential:
    login = account.settings.login
    if login is None:
        return Credential("api_key", account.settings.api_key or "", account.base_url)
    base_url = account.settings.base_url or oauth_api_base_url(login.resource_url, settings.base_url)
    return Credential("oauth", login.access_token, base_url)
