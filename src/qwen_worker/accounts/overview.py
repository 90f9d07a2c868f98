"""The accounts as /health shows them to the operator."""

from typing import Any

from qwen_worker.accounts.pool import Account, AccountPool
from qwen_worker.log import Log
from qwen_worker.platform.ports import Runtime


async def describe_accounts(pool: AccountPool, runtime: Runtime, log: Log) -> list[dict[str, Any]]:
    """The accounts without a secret or a part of one: label, state in one word, why an account rests and for
    how many seconds.
    """
    if pool.memory is not None:
        from qwen_worker.accounts.cooldown_record import recall_cooldowns

        await recall_cooldowns(pool.memory, runtime, log)
    return [await _description(pool, account, runtime) for account in pool.accounts]


async def _description(pool: AccountPool, account: Account, runtime: Runtime) -> dict[str, Any]:
    credentials = await account.source.describe(runtime)
    rests: dict[str, dict[str, Any]] = {}
    if pool.memory is not None:
        rests = pool.memory.standing(account.settings.identity).describe(runtime.clock.now_ms())
    rest = rests.pop("", None)
    return {
        "label": account.label,
        "priority": account.settings.priority,
        "state": credentials["state"] if rest is None else "resting",
        "reason": None if rest is None else rest["reason"],
        "seconds_left": None if rest is None else rest["seconds_left"],
        "models_in_cooldown": rests,
        "credentials": credentials,
    }
