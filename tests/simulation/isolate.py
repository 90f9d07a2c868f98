"""An isolate of the simulation: how it serves clients, and its end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from qwen_worker.accounts.pool import Account
from qwen_worker.config.login import OAuthToken
from qwen_worker.errors import ProxyError
from tests.support.isolate import Isolate
from tests.support.kv import MemoryKV

if TYPE_CHECKING:
    from tests.simulation.world import World

SDK_RETRIES = 2


class ServingIsolate(Isolate):
    """One isolate in one of the world's places, while it serves clients."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = world.rng
        self._place: MemoryKV = world.rng.choice(world.places)
        self.deployment = world.deployment
        self._checked: object = None
        super().__init__(world.env, endpoint=world.qwen, kv=self._place, rng=world.rng, log_level="silent")

    async def live(self, until: float) -> None:
        """Serves bursts of clients until it is evicted."""
        world = self._world
        while True:
            await asyncio.sleep(self._rng.expovariate(1 / world.scenario.request_gap))
            await world.wait_out_the_night(self._rng)
            if self.deployment != world.deployment and world.now > world.deployed_at + self._rng.uniform(
                0, 600
            ):
                return await self.end()
            await self._burst()
            await self._is_saved()
            if world.now >= until:
                return await self.end()

    async def end(self) -> None:
        """Eviction: what is in the background ends first, but for 30 s at most.

        In scenarios where KV fails for minutes this waits longer, until KV has the isolate's tokens: a token
        that is only in memory is lost with the isolate, and no code can prevent that.
        """
        grace_seconds = 300 if self._world.scenario.kv_storms else 30
        await self.background.settle(grace_seconds)
        while not await self._is_saved():
            await asyncio.sleep(20)
            await self._client()
            await self.background.settle(grace_seconds)
        self.background.cancel()

    async def _is_saved(self) -> bool:
        """Whether it says that KV has all its tokens; what it says is checked."""
        said = True
        for account in self.pool.accounts:
            token = account.source.stage
            if not isinstance(token, OAuthToken):
                continue
            description = await account.source.describe(self.runtime)
            if not description["saved"]:
                said = False
            elif description["source"] == "memory" and token is account.source.stage is not self._checked:
                self._checked = token
                if f'"{token.refresh_token}"' not in " ".join(self._world.namespace.every_value()):
                    self._world.report.unsaved_in_truth.append(str(token.refresh_token))
        return said

    async def _burst(self) -> None:
        size = 1 if self._rng.random() < 0.8 else self._rng.randint(2, 12)
        if size == 1 and self._rng.random() >= self._world.scenario.hang_up_share:
            return await self._client()
        clients = [asyncio.ensure_future(self._client()) for _ in range(size)]
        for client in clients:
            if self._rng.random() < self._world.scenario.hang_up_share:
                asyncio.get_running_loop().call_later(self._rng.uniform(0.0, 3.0), client.cancel)
        await asyncio.gather(*clients, return_exceptions=True)
        return None

    async def _client(self) -> None:
        """A request, repeated as the OpenAI SDKs do it."""
        world = self._world
        world.counts["requests"] += 1
        for attempt in range(SDK_RETRIES + 1):
            error = await self._request()
            if error is None:
                world.note_success()
                return
            world.note_error(error)
            if attempt == 0:
                world.counts["first answer an error"] += 1
            if not error.retryable or attempt == SDK_RETRIES:
                break
            await asyncio.sleep(error.retry_after_seconds or self._rng.uniform(0.4, 0.6) * 2**attempt)
        world.counts["failed after retries"] += 1

    async def _request(self) -> ProxyError | None:
        """A request to one of the accounts."""
        accounts = self.pool.accounts
        return await self.request(accounts[0] if len(accounts) == 1 else self._rng.choice(accounts))

    async def request(self, account: Account) -> ProxyError | None:
        """What the gateway does for one request: acquire, call, and replace a token that the API refuses."""
        world, source = self._world, account.source
        try:
            credential = await source.acquire(self.runtime, self.log)
            world.check_owner(credential.secret, account)
            for _ in range(2):
                if world.qwen.accepts(credential.secret):
                    return None
                credential = await source.replace(credential, self.runtime, self.log)
                world.check_owner(credential.secret, account)
            if world.qwen.accepts(credential.secret):
                return None
        except ProxyError as error:
            return error
        return ProxyError("refused by the API", code="refused_by_the_api")
