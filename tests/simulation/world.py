"""The world of a simulation: the clock, Qwen, KV, the operator, and the counts."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import replace
from typing import Any

from qwen_worker.accounts.pool import Account
from qwen_worker.credentials.store import RECORD_KEY
from qwen_worker.errors import ProxyError
from qwen_worker.fingerprint import fingerprint
from tests.simulation.isolate import ServingIsolate
from tests.simulation.report import HOUR, Report, Scenario
from tests.support.kv import Chance, MemoryKV, Namespace
from tests.support.token_endpoint import FaultsByChance, TokenEndpoint

DAY = 86_400.0
CRON_SECONDS = 900.0
STORM_SECONDS = 600.0


class World:
    """What all isolates have in common."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.rng = random.Random(seed)
        self.report = Report(seed, scenario)
        self.counts = self.report.counts
        self._qwen_faults = FaultsByChance(
            self.rng, scenario.endpoint_fault_share, scenario.endpoint_hang_share
        )
        self.qwen = TokenEndpoint(by_chance=self._qwen_faults)
        self.qwen.revokes_previous = scenario.endpoint_revokes_previous
        self._kv_chance = Chance(self.rng, scenario.kv_error_share)
        self.namespace = Namespace(staleness=scenario.staleness, chance=self._kv_chance, limits_writes=True)
        self.places = [MemoryKV(namespace=self.namespace) for _ in range(scenario.places)]
        self._quiet = [self.rng.random() < scenario.quiet_nights for _ in range(int(scenario.days) + 2)]
        self.deployment = 0
        self._logins: list[dict[str, Any]] = []
        self._taken_out: list[dict[str, Any]] = []
        self._serial = 0
        self.deployed_at = 0.0
        self._dark_since: float | None = None
        self._isolates: list[ServingIsolate] = []
        self._background: list[asyncio.Future[None]] = []

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def run(self) -> Report:
        """Lives through all days."""
        for _ in range(self.scenario.logins):
            self._logins.append(self._log_in())
        self._deploy()
        tasks = [asyncio.ensure_future(self._slot()) for _ in range(self.scenario.isolates)]
        tasks.append(asyncio.ensure_future(self._operator()))
        tasks.append(asyncio.ensure_future(self._misfortune()))
        tasks.append(asyncio.ensure_future(self._storms()))
        if self.scenario.cron:
            tasks.append(asyncio.ensure_future(self._cron()))
        await asyncio.sleep(self.scenario.days * DAY)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._kv_chance.write_error_share = 0.0
        await asyncio.gather(*(isolate.end() for isolate in self._isolates), *self._background)
        await self._settle()
        return self.report

    async def wait_out_the_night(self, rng: random.Random) -> None:
        """From midnight to 8 o'clock of a quiet night nobody calls; the morning starts everywhere at once."""
        day, hour = divmod(self.now, DAY)
        if self._quiet[int(day)] and hour < 8 * HOUR:
            await asyncio.sleep(8 * HOUR - hour + rng.expovariate(1 / 30))

    def note_success(self) -> None:
        self._dark_since = None

    def note_error(self, error: ProxyError) -> None:
        """Counts an error, and for how long there has been nothing but errors."""
        self.counts["error answers"] += 1
        self.report.error_codes[error.code] += 1
        if self._dark_since is None:
            self._dark_since = self.now
        self.report.longest_dark_seconds = max(self.report.longest_dark_seconds, self.now - self._dark_since)

    async def _slot(self) -> None:
        """One isolate after the other."""
        await asyncio.sleep(self.rng.uniform(0, HOUR))
        while True:
            isolate = ServingIsolate(self)
            self._isolates.append(isolate)
            self.counts["isolates"] += 1
            await isolate.live(self.now + self.rng.expovariate(1 / self.scenario.isolate_lifetime))
            self._isolates.remove(isolate)

    async def _cron(self) -> None:
        """The trigger fires once for the whole Worker, in an isolate that is there or in a new one."""
        while True:
            await asyncio.sleep(CRON_SECONDS)
            running = [isolate for isolate in self._isolates if isolate.deployment == self.deployment]
            isolate = (
                self.rng.choice(running) if running and self.rng.random() < 0.5 else ServingIsolate(self)
            )
            isolate.background.spawn(isolate.cron())
            if isolate not in self._isolates:
                self._background.append(asyncio.ensure_future(isolate.end()))
                self._background = [task for task in self._background if not task.done()]

    async def _operator(self) -> None:
        """Changes the secret now and then, while isolates with the old one live on for minutes."""
        actions = [self._renew_login] * self.scenario.new_logins
        actions += [self._rearrange] * self.scenario.rearrangements
        times = sorted(self.rng.uniform(1, self.scenario.days - 1) for _ in actions)
        if self.scenario.rearrangements:
            self.rng.shuffle(actions)
        for time, action in zip(times, actions, strict=True):
            await asyncio.sleep(time * DAY - self.now)
            action()
            self._deploy()

    def _renew_login(self) -> None:
        index = 0 if len(self._logins) == 1 else self.rng.randrange(len(self._logins))
        self._logins[index] = self._log_in()

    def _rearrange(self) -> None:
        if self._taken_out:
            self._logins.insert(self.rng.randint(0, len(self._logins)), self._taken_out.pop())
        elif self.rng.random() < 0.5:
            self._logins.append(self._logins.pop(0))
        else:
            self._taken_out.append(self._logins.pop(self.rng.randrange(len(self._logins))))

    async def _misfortune(self) -> None:
        """Outages of Qwen and of KV, access tokens revoked before their time."""
        scenario = self.scenario
        events = [("revoke", self.rng.uniform(1, scenario.days) * DAY) for _ in range(scenario.revocations)]
        for day in range(0, int(scenario.days), 2):
            events.append(("qwen", (day + self.rng.uniform(0, 2)) * DAY))
            events.append(("kv", (day + self.rng.uniform(0, 2)) * DAY))
        for kind, time in sorted(events, key=lambda event: event[1]):
            await asyncio.sleep(max(0.0, time - self.now))
            if kind == "qwen":
                self._qwen_faults.down_until = self.now + self.rng.uniform(0, scenario.endpoint_outage)
            elif kind == "kv":
                self._kv_chance.down_until = self.now + self.rng.uniform(0, scenario.kv_outage)
            else:
                self._revoke_newest()

    def _revoke_newest(self) -> None:
        if self.qwen.issued:
            self.qwen.revoke(self.qwen.issued[-1][0])

    async def _storms(self) -> None:
        """KV's ten minutes of trouble, and the tokens that are revoked meanwhile."""
        chance, calm = self._kv_chance, replace(self._kv_chance)
        for _ in range(self.scenario.kv_storms):
            await asyncio.sleep(self.scenario.days * DAY / self.scenario.kv_storms - STORM_SECONDS)
            chance.write_error_share, chance.late_error_share = 0.9, 0.4
            chance.read_seconds, chance.write_seconds = (0.01, 6.0), (0.05, 6.0)
            until = self.now + STORM_SECONDS
            while self.now < until:
                self._revoke_newest()
                await asyncio.sleep(self.rng.uniform(65, 130))
            chance.write_error_share, chance.late_error_share = 0.0, 0.0
            chance.read_seconds, chance.write_seconds = calm.read_seconds, calm.write_seconds

    def check_owner(self, access_token: str, account: Account) -> None:
        """An account must never call with the token of another one."""
        login = account.settings.login
        if login is None or access_token.split("-")[1] != login.access_token.split("-")[1]:
            self.report.mixed_up.append(f"{access_token} for {account.label}")

    def _log_in(self) -> dict[str, Any]:
        """A new login, as `oauth_creds.json` holds it."""
        self._serial += 1
        return self.qwen.log_in(f"login{self._serial}")

    def _deploy(self) -> None:
        """Sets the secret anew."""
        self.deployment += 1
        self.deployed_at = self.now
        secret = self._logins[0] if len(self._logins) == 1 else self._logins
        self.env = {"QWEN_CLI_AUTH": json.dumps(secret)}

    async def _settle(self) -> None:
        """When nothing fails: does a fresh isolate get working tokens, and is every new token kept?"""
        self._qwen_faults.down_until = self._kv_chance.down_until = 0.0
        self._qwen_faults.fault_share = self._qwen_faults.hang_share = self._kv_chance.error_share = 0.0
        while self._taken_out:
            self._rearrange()
            self._deploy()
        for index in range(len(self._logins)):
            for _ in range(20):
                isolate = ServingIsolate(self)
                account = isolate.pool.accounts[index]
                if await isolate.request(account) is None:
                    break
                await asyncio.sleep(15)
            else:
                self.report.dead_at_the_end.append(account.label)
        self._take_stock()
        self.counts.update(self.qwen.counts)
        self.counts.update(self.namespace.counts)

    def _take_stock(self) -> None:
        """Counts what has become of the issued tokens and of the records."""
        kept = " ".join(self.namespace.every_value())
        self.report.lost_tokens = [
            refresh
            for _, refresh in self.qwen.issued
            if f'"{refresh}"' not in kept and (refresh in self.qwen.live or not self.scenario.kv_storms)
        ]
        self.report.broken_trails = [
            spent
            for spent in self.qwen.spent
            if f"{RECORD_KEY}:successor:{fingerprint(spent)}" not in self.namespace.values
        ]
        self.report.setbacks = self._setbacks()

    def _setbacks(self) -> list[str]:
        """The moments at which a record was deleted, or went back to an older token of the same login, and if
        there is but one account, to an older login.
        """
        setbacks = []
        for key, versions in self.namespace.history.items():
            newest: dict[str, tuple[str, int]] = {}
            if ":successor:" in key or not key.startswith(RECORD_KEY) or key.endswith(":rejected"):
                continue
            for time, value in versions:
                if value is None:
                    setbacks.append(f"day {time / DAY:.3f}: {key} deleted")
                    continue
                login, _, number = json.loads(value)["refresh_token"].rpartition("-")
                stage = (login, int(number))
                group = login if self.scenario.logins > 1 else ""
                if group in newest and stage < newest[group]:
                    setbacks.append(f"day {time / DAY:.3f}: {newest[group]} -> {stage}")
                newest[group] = stage
        return setbacks
