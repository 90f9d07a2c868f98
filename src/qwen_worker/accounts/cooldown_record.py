"""What isolates tell each other about long cooldowns, in one KV record.

    qwen_account_cooldowns   {<identity>: {<model or "">: {"reason", "until", "back", "times"}}}, times in ms

One isolate finds out that a quota is used up; those that start later need not. KV allows few writes (on the
free plan 1,000 a day, one a second to a key), so only long rests are told, and only if nobody else has told
them. Losing one to a race costs another isolate one request to Qwen.
"""

import json
from typing import Any

from qwen_worker.accounts.cooldowns import LASTING, RULES, Cooldown
from qwen_worker.accounts.health import AccountsMemory
from qwen_worker.log import Log
from qwen_worker.platform.ports import FOREVER_MS, KeyValueStore, Runtime, StoreError

COOLDOWNS_KEY = "qwen_account_cooldowns"

SHORTEST_MS = 240_000
"""A rest that is shorter is not worth a write."""

WRITE_PAUSE_MS = 60_000
"""How often an isolate writes at most."""

SAME_COOLDOWN_SHARE = 0.5
"""If KV knows of at least so much of a rest, it is not written again."""

Rests = dict[str, dict[str, Cooldown]]


def is_worth_telling(rest: Cooldown, now_ms: int) -> bool:
    """Whether other isolates should know of this rest."""
    return rest.reason in LASTING and rest.until_ms - now_ms >= SHORTEST_MS


async def recall_cooldowns(memory: AccountsMemory, runtime: Runtime, log: Log) -> None:
    """Takes over what other isolates have found out; asks KV once in an isolate's life. Never raises."""
    if memory.record_read or runtime.kv is None:
        return
    memory.record_read = True
    for identity, places in (await _read(runtime.kv, runtime.clock.now_ms(), log)).items():
        for place, rest in places.items():
            memory.standing(identity).rests.setdefault(place, rest)


async def tell_cooldowns(memory: AccountsMemory, runtime: Runtime, log: Log) -> None:
    """Writes the long rests of this isolate for those to come, unless KV knows of them. Never raises."""
    now_ms = runtime.clock.now_ms()
    if runtime.kv is None or now_ms < memory.record_written_ms + WRITE_PAUSE_MS:
        return
    memory.record_written_ms = now_ms
    told = await _read(runtime.kv, now_ms, log)
    news = False
    for identity, place, rest in memory.rests():
        if is_worth_telling(rest, now_ms) and not _is_known(told.get(identity, {}).get(place), rest, now_ms):
            told.setdefault(identity, {})[place] = rest
            news = True
    if not news:
        return
    longest_ms = max(rest.until_ms for places in told.values() for rest in places.values())
    lifetime_seconds = max(60, (longest_ms - now_ms) // 1000 + 1)
    try:
        await runtime.kv.put(COOLDOWNS_KEY, _serialised(told), expiration_ttl_seconds=lifetime_seconds)
    except StoreError as error:
        log.info("rests not told", error=str(error))


def _is_known(told: Cooldown | None, rest: Cooldown, now_ms: int) -> bool:
    return told is not None and told.until_ms - now_ms >= SAME_COOLDOWN_SHARE * (rest.until_ms - now_ms)


async def _read(kv: KeyValueStore, now_ms: int, log: Log) -> Rests:
    try:
        return _parsed(await kv.get(COOLDOWNS_KEY), now_ms)
    except StoreError as error:
        log.info("rests not read", error=str(error))
        return {}


def _serialised(rests: Rests) -> str:
    return json.dumps(
        {
            identity: {
                place: {
                    "reason": rest.reason,
                    "until": rest.until_ms,
                    "back": rest.back_ms,
                    "times": rest.times,
                }
                for place, rest in places.items()
            }
            for identity, places in rests.items()
        }
    )


def _parsed(text: str | None, now_ms: int) -> Rests:
    """The rests that still go on. What makes no sense is left out."""
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    rests: Rests = {}
    for identity, places in _members(value):
        for place, fields in _members(places):
            rest = _cooldown_from(fields, now_ms)
            if rest is not None:
                rests.setdefault(identity, {})[place] = rest
    return rests


def _members(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


def _cooldown_from(fields: Any, now_ms: int) -> Cooldown | None:
    if not isinstance(fields, dict) or fields.get("reason") not in LASTING:
        return None
    until, back, times = fields.get("until"), fields.get("back"), fields.get("times")
    if not (isinstance(until, int) and isinstance(back, int) and isinstance(times, int)):
        return None
    # No record, however it came about, keeps an account away for longer than a rest of its kind may last.
    until = min(until, now_ms + int(RULES[fields["reason"]].longest_seconds * 1000))
    if until <= now_ms:
        return None
    return Cooldown(fields["reason"], until, min(max(back, until), FOREVER_MS), max(1, times))
