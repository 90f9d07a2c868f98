"""Keeps an isolate's accounts up to date with the logins that are made and removed at the gateway."""

from collections.abc import Coroutine
from typing import Any

from qwen_worker.accounts.login_book import READ_PAUSE_MS
from qwen_worker.accounts.pool import AccountPool
from qwen_worker.config.account import KV_ACCOUNT
from qwen_worker.credentials.store import LoginStore, StoredLogin, account_key
from qwen_worker.log import Log
from qwen_worker.platform.ports import Runtime, StoreError

SWEEP_MS = 3_600_000
"""For so long the cron trigger deletes again what an isolate may have written of a removed login."""


def attend(pool: AccountPool, runtime: Runtime, log: Log) -> Coroutine[Any, Any, None] | None:
    """Takes over what the isolate knows, and has the record read in the background if that is due.

    Returns what a request must await in a fresh isolate that may have no account without the logins.
    """
    logins = pool.logins
    if logins is None:
        return None
    pool.keep_up()
    now_ms = runtime.clock.now_ms()
    if now_ms >= logins.due_ms:
        if _needs_logins(pool):
            return read_logins(pool, runtime, log)
        logins.due_ms = now_ms + READ_PAUSE_MS
        runtime.background.spawn(read_logins(pool, runtime, log))
    elif not logins.is_read and _needs_logins(pool):
        return _others_reading(pool, runtime)
    return None


async def read_logins(pool: AccountPool, runtime: Runtime, log: Log) -> None:
    """Reads which logins there are, and deletes the tokens of those that were removed. Never raises."""
    if pool.logins is None:
        return
    removed = await pool.logins.read(runtime, log, wants_first_record=_is_bare(pool))
    pool.keep_up()
    for login in removed:
        await erase(login.identity, pool, runtime, log)


async def sweep(pool: AccountPool, runtime: Runtime, log: Log) -> None:
    """The cron trigger's part: reads the logins, and deletes what is left of removed ones. Never raises."""
    if pool.logins is None:
        return
    await read_logins(pool, runtime, log)
    for login in pool.logins.removed_since(runtime.clock.now_ms() - SWEEP_MS):
        await erase(login.identity, pool, runtime, log)


async def erase(identity: str, pool: AccountPool, runtime: Runtime, log: Log) -> bool:
    """Deletes the tokens of a login, in memory and in KV, unless a secret describes the same login.

    Returns whether KV has done so. Never raises.
    """
    if runtime.kv is None or any(account.identity == identity for account in pool.settings.accounts):
        return True
    key = account_key(identity)
    known, state = None, pool.credentials.get(key)
    if state is not None:
        state.unsaved.close()
        if state.held.token is not None:
            known = StoredLogin(state.held.token, None, state.record.spent)
    try:
        await LoginStore(runtime.kv, key).erase(known)
    except StoreError as error:
        log.warning("KV failed", operation="delete", error=str(error))
        return False
    # Not before: whoever tries again must know as much of the successors.
    pool.credentials.pop(key, None)
    return True


def _is_bare(pool: AccountPool) -> bool:
    """Whether no variable has an account."""
    return pool.settings.accounts == (KV_ACCOUNT,)


def _needs_logins(pool: AccountPool) -> bool:
    """Whether some request may find no account before the logins are read."""
    if pool.logins is None or pool.logins.is_read:
        return False
    return _is_bare(pool) or all(account.models for account in pool.settings.accounts)


async def _others_reading(pool: AccountPool, runtime: Runtime) -> None:
    """Waits for the reading of another request."""
    if pool.logins is not None and await pool.logins.wait_for_reading(runtime):
        pool.keep_up()
