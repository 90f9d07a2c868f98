"""What the hosts of the accounts list, remembered in the isolate and in KV.

A list is asked for once, and again an hour later in the background, so that only the first client of an
isolate may have to wait, and only if KV has nothing.
"""

import asyncio
import json
from typing import TYPE_CHECKING

from qwen_worker.errors import ProxyError
from qwen_worker.json_text import parse_object
from qwen_worker.log import Log
from qwen_worker.platform.ports import Runtime, StoreError
from qwen_worker.upstream.host_models import (
    FRESH_MS,
    HostList,
    HostLists,
    NoList,
    ask_for_models,
    is_model,
    lists_models,
)

if TYPE_CHECKING:
    from qwen_worker.accounts.pool import Account, AccountPool

LISTS_KEY = "qwen_model_lists"
"""Where KV holds the lists."""

KEPT_SECONDS = 7 * 86_400
MOST_HOSTS = 6
"""As many connections as Workers let a request open."""


async def host_lists(pool: "AccountPool", runtime: Runtime, log: Log, request_id: str) -> HostLists:
    """What is known of each host that can be asked."""
    lists, hosts = pool.model_lists, _hosts(pool)
    missing = {url: account for url, account in hosts.items() if url not in lists}
    if missing:
        await _recall(lists, missing, runtime, log)
        missing = {url: account for url, account in missing.items() if url not in lists}
    if missing:
        await _ask(lists, missing, runtime, log, request_id)
        runtime.background.spawn(_tell(lists, runtime, log))
    now_ms = runtime.clock.now_ms()
    due = {url: account for url, account in hosts.items() if lists[url].is_due(now_ms)}
    if due:
        for url in due:  # so that no other request asks too
            lists[url] = lists[url]._replace(asked_ms=now_ms)
        runtime.background.spawn(_refresh(lists, due, runtime, log, request_id))
    return lists


def _hosts(pool: "AccountPool") -> "dict[str, Account]":
    """The hosts to ask, each with an account that may."""
    hosts: dict[str, Account] = {}
    for account in pool.accounts:
        if not account.settings.models and lists_models(account.settings.kind, account.base_url):
            hosts.setdefault(account.base_url, account)
    return dict([*hosts.items()][:MOST_HOSTS])


async def _refresh(
    lists: HostLists, due: "dict[str, Account]", runtime: Runtime, log: Log, request_id: str
) -> None:
    """Brings lists up to date, from KV if another isolate has asked. Never raises."""
    await _recall(lists, due, runtime, log)
    now_ms = runtime.clock.now_ms()
    old = {url: account for url, account in due.items() if now_ms - lists[url].told_ms >= FRESH_MS}
    if old:
        await _ask(lists, old, runtime, log, request_id)
        await _tell(lists, runtime, log)


async def _ask(
    lists: HostLists, hosts: "dict[str, Account]", runtime: Runtime, log: Log, request_id: str
) -> None:
    """Asks hosts, all at once. What a host has told before stays if it does not tell now."""

    async def ask(url: str, account: "Account") -> None:
        now_ms = runtime.clock.now_ms()
        try:
            credential = await account.source.acquire(runtime, log)
            models = await ask_for_models(credential, runtime, request_id)
        except (NoList, ProxyError) as error:
            log.info("no list of models", account=account.label, reason=str(error))
            before = lists.get(url, HostList(None, 0, 0))
            lists[url] = before._replace(asked_ms=now_ms)
        else:
            lists[url] = HostList(models, now_ms, now_ms)

    await asyncio.gather(*(ask(url, account) for url, account in hosts.items()))


async def _recall(lists: HostLists, hosts: "dict[str, Account]", runtime: Runtime, log: Log) -> None:
    """Takes over what KV has of these hosts, if it is newer."""
    if runtime.kv is None:
        return
    try:
        record = parse_object(await runtime.kv.get(LISTS_KEY) or "") or {}
    except StoreError as error:
        log.info("model lists not read", error=str(error))
        return
    for url in hosts:
        told = record.get(url)
        if not isinstance(told, dict):
            continue
        models, told_ms = told.get("models"), told.get("told_ms")
        if not isinstance(models, list) or not isinstance(told_ms, int) or not all(map(is_model, models)):
            continue
        if url not in lists or lists[url].told_ms < told_ms:
            lists[url] = HostList(models, told_ms, told_ms)


async def _tell(lists: HostLists, runtime: Runtime, log: Log) -> None:
    """Writes what hosts have told for the isolates to come. Never raises."""
    told = {
        url: {"told_ms": host.told_ms, "models": host.models} for url, host in lists.items() if host.models
    }
    if runtime.kv is None or not told:
        return
    try:
        await runtime.kv.put(LISTS_KEY, json.dumps(told), expiration_ttl_seconds=KEPT_SECONDS)
    except StoreError as error:
        log.info("model lists not told", error=str(error))
