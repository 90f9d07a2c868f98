"""The accounts as /health shows them to the operator."""

from typing import Any

from qwen_worker.accounts.pool import Account, AccountPool
from qwen_worker.log import Log
from qwen_worker.platform.ports import Runtime


async def describe_accounts(pool: AccountPool, runtime: Runtime, log: Log) -> list[dict[str, Any]]:
    """The accounts without a secret or a part of one: label, state in one word, the reason for a cooldown and
    the seconds left; `login_id` of a login that was made at the gateway.
    """
    if pool.record is not None:
        await pool.record.recall(runtime, log)
    own = {} if pool.logins is None else {login.identity: login.id for login in pool.logins.living}
    described = []
    for account in pool.accounts:
        description = await _description(pool, account, runtime)
        if account.settings.identity in own and account.settings.login is None:
            description["login_id"] = own[account.settings.identity]
        described.append(description)
    return described


async def _description(pool: AccountPool, account: Account, runtime: Runtime) -> dict[str, Any]:
    credentials = await account.source.describe(runtime)
    cooldowns: dict[str, dict[str, Any]] = {}
    if pool.record is not None:
        cooldowns = pool.record.memory.health(account.health_id).describe(runtime.clock.now_ms())
    cooldown = cooldowns.pop("", None)
    return {
        "label": account.label,
        "priority": account.settings.priority,
        "state": credentials["state"] if cooldown is None else "cooldown",
        "reason": None if cooldown is None else cooldown["reason"],
        "seconds_left": None if cooldown is None else cooldown["seconds_left"],
        "models_in_cooldown": cooldowns,
        "credentials": credentials,
    }
