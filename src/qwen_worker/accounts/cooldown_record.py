"""What isolates tell each other about long cooldowns, in one KV record.

    qwen_account_cooldowns   {<identity>: {<model or "">: {"reason", "until", "back", "times"}}}, times in ms

When an isolate finds out that a quota is used up, isolates that start later read it here. KV allows few
writes (on the free plan 1,000 a day, one a second to a key), so an isolate writes only long cooldowns, and
only if KV does not have them. If two isolates write at once and a cooldown is lost, another isolate sends one
request to Qwen in vain.
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
"""Shorter cooldowns are not written."""

WRITE_PAUSE_MS = 60_000
"""An isolate pauses so long between two writes."""

SAME_COOLDOWN_SHARE = 0.5
"""A cooldown is not written again if the one in KV lasts at least this share of it."""

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
        """Takes over the cooldowns that other isolates have written. Reads KV once in an isolate's life.
        Never raises.
        """
        if self._is_read or runtime.kv is None:
            return
        self._is_read = True
        for identity, places in (await _read(runtime.kv, runtime.clock.now_ms(), log)).items():
            self.memory.health(identity).recall(places)

    def note(self, cooldown: Cooldown, now_ms: int) -> None:
        """Notes that a cooldown has begun; `tell` writes it if it is long."""
        self._has_news = self._has_news or _is_worth_telling(cooldown, now_ms)

    def is_due(self, now_ms: int) -> bool:
        """Whether there is something to write, and the last write is long enough ago."""
        return self._has_news and now_ms >= self._written_ms + WRITE_PAUSE_MS

    async def tell(self, runtime: Runtime, log: Log) -> None:
        """Writes the long cooldowns of this isolate for later isolates, unless KV has them.

        Never raises. If KV fails, a later call writes them.
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
            log.info("cooldowns not written", error=str(error))


def _is_worth_telling(cooldown: Cooldown, now_ms: int) -> bool:
    """Whether the cooldown is long enough to be written."""
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
    """The cooldowns that still last. Invalid ones are left out."""
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
    # Whatever the record says, it keeps no account away for longer than a cooldown for its reason may last.
    until = min(until, now_ms + int(RULES[fields["reason"]].longest_seconds * 1000))
    if until <= now_ms:
        return None
    return Cooldown(fields["reason"], until, min(max(back, until), FOREVER_MS), max(1, times))
