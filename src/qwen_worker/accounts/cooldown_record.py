"""What isolates tell each other about long cooldowns, in one KV record.

    qwen_account_cooldowns   {<identity>: {<model or "">: {"reason", "until", "back", "times"}}}, times in ms

One isolate finds out that a quota is used up; those that start later need not. KV allows few writes (on the
free plan 1,000 a day, one a second to a key), so only long cooldowns are told, and only if nobody else has
told them. Losing one to a race costs another isolate one request to Qwen.
"""

import json
from typing import Any

from qwen_worker.accounts.cooldowns import LASTING, RULES, Cooldown
from qwen_worker.accounts.health import AccountsMemory
from qwen_worker.json_text import JsonTextError, parse
from qwen_worker.log import Log
from qwen_worker.platform.ports import FOREVER_MS, KeyValueStore, Runtime, StoreError

COOLDOWNS_KEY = "qwen_account_cooldowns"

SHORTEST_MS = 240_000
"""A cooldown that is shorter is not worth a write."""

WRITE_PAUSE_MS = 60_000
"""How often an isolate writes at most."""

SAME_COOLDOWN_SHARE = 0.5
"""If KV knows of at least so much of a cooldown, it is not written again."""

Cooldowns = dict[str, dict[str, Cooldown]]


class CooldownRecord:
    """The record, and what this isolate knows of it. `memory` holds the cooldowns of the isolate."""

    __slots__ = ("_has_news", "_is_read", "_written_ms", "memory")

    def __init__(self, memory: AccountsMemory) -> None:
        self.memory = memory
        self._is_read = False
        self._written_ms = 0
        self._has_news = False

    async def recall(self, runtime: Runtime, log: Log) -> None:
        """Takes over what other isolates have found out; asks KV once in an isolate's life. Never raises."""
        if self._is_read or runtime.kv is None:
            return
        self._is_read = True
        for identity, places in (await _read(runtime.kv, runtime.clock.now_ms(), log)).items():
            self.memory.health(identity).recall(places)

    def note(self, cooldown: Cooldown, now_ms: int) -> None:
        """A cooldown has begun; if it is a long one, others should know of it."""
        self._has_news = self._has_news or _is_worth_telling(cooldown, now_ms)

    def is_due(self, now_ms: int) -> bool:
        """Whether there is something to tell, and the last write long enough ago."""
        return self._has_news and now_ms >= self._written_ms + WRITE_PAUSE_MS

    async def tell(self, runtime: Runtime, log: Log) -> None:
        """Writes the long cooldowns of this isolate for those to come, unless KV knows of them.

        Never raises. What a failing KV did not take is told later.
        """
        now_ms = runtime.clock.now_ms()
        if runtime.kv is None or not self.is_due(now_ms):
            return
        self._written_ms = now_ms
        self._has_news = False
        told = await _read(runtime.kv, now_ms, log)
        is_news = False
        for identity, place, cooldown in self.memory.cooldowns():
            if not _is_worth_telling(cooldown, now_ms):
                continue
            if not _is_known(told.get(identity, {}).get(place), cooldown, now_ms):
                told.setdefault(identity, {})[place] = cooldown
                is_news = True
        if not is_news:
            return
        longest_ms = max(cooldown.until_ms for places in told.values() for cooldown in places.values())
        lifetime_seconds = max(60, (longest_ms - now_ms) // 1000 + 1)
        try:
            await runtime.kv.put(COOLDOWNS_KEY, _serialised(told), expiration_ttl_seconds=lifetime_seconds)
        except StoreError as error:
            self._has_news = True
            log.info("cooldowns not told", error=str(error))


def _is_worth_telling(cooldown: Cooldown, now_ms: int) -> bool:
    """Whether other isolates should know of this cooldown."""
    return cooldown.reason in LASTING and cooldown.until_ms - now_ms >= SHORTEST_MS


def _is_known(told: Cooldown | None, cooldown: Cooldown, now_ms: int) -> bool:
    return told is not None and told.until_ms - now_ms >= SAME_COOLDOWN_SHARE * (cooldown.until_ms - now_ms)


async def _read(kv: KeyValueStore, now_ms: int, log: Log) -> Cooldowns:
    try:
        return _parsed(await kv.get(COOLDOWNS_KEY), now_ms)
    except StoreError as error:
        log.info("cooldowns not read", error=str(error))
        return {}


def _serialised(cooldowns: Cooldowns) -> str:
    return json.dumps(
        {
            identity: {
                place: {
                    "reason": cooldown.reason,
                    "until": cooldown.until_ms,
                    "back": cooldown.back_ms,
                    "times": cooldown.times,
                }
                for place, cooldown in places.items()
            }
            for identity, places in cooldowns.items()
        }
    )


def _parsed(text: str | None, now_ms: int) -> Cooldowns:
    """The cooldowns that still go on. What makes no sense is left out."""
    try:
        value = parse(text or "{}")
    except JsonTextError:
        return {}
    cooldowns: Cooldowns = {}
    for identity, places in _members(value):
        for place, fields in _members(places):
            cooldown = _cooldown_from(fields, now_ms)
            if cooldown is not None:
                cooldowns.setdefault(identity, {})[place] = cooldown
    return cooldowns


def _members(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


def _cooldown_from(fields: Any, now_ms: int) -> Cooldown | None:
    if not isinstance(fields, dict) or fields.get("reason") not in LASTING:
        return None
    until, back, times = fields.get("until"), fields.get("back"), fields.get("times")
    if not (isinstance(until, int) and isinstance(back, int) and isinstance(times, int)):
        return None
    # No record, however it came about, keeps an account away for longer than a cooldown of its kind may last.
    until = min(until, now_ms + int(RULES[fields["reason"]].longest_seconds * 1000))
    if until <= now_ms:
        return None
    return Cooldown(fields["reason"], until, min(max(back, until), FOREVER_MS), max(1, times))
