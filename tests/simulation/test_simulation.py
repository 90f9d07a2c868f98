"""The simulation in a size that fits every test run. `python -m tests.simulation` runs it in full."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import cast

import pytest

from qwen_worker.credentials import oauth, renewal
from qwen_worker.credentials.job import Job
from qwen_worker.credentials.kv_look import KvLook
from tests.simulation.report import Report
from tests.simulation.scenarios import small
from tests.simulation.simulation import simulate
from tests.simulation.table import HEADER, row
from tests.support.kv import MemoryKV

SEEDS = (1, 2)


def run(name: str, seed: int) -> Report:
    report = simulate(small(name), seed)
    print(f"\n{HEADER}\n{row(report)}")
    assert report.problems == [], (
        f"replay: python -m tests.simulation --small --scenario '{name}' --seed {seed}"
    )
    assert report.requests > 20_000
    assert report.counts["isolates"] > 3_000
    return report


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["cron", "no cron", "strict Qwen"])
def test_a_month_of_races_outages_and_hang_ups_is_hardly_noticed(name: str, seed: int) -> None:
    report = run(name, seed)
    assert report.share("first answer an error") < 0.002
    assert report.share("failed after retries") < 0.0005
    assert report.error_codes["credentials_rejected"] <= report.requests / 1000
    assert 3 < report.per_day("refreshed") < 8
    assert report.per_day("writes") < 40


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["several logins", "several, no cron"])
def test_several_logins_stay_alive_and_apart_however_they_are_rearranged(name: str, seed: int) -> None:
    report = run(name, seed)
    assert report.share("failed after retries") < 0.0005
    assert report.error_codes["credentials_rejected"] <= report.requests / 1000
    assert 3 * 3 < report.per_day("refreshed") < 3 * 8


@pytest.mark.parametrize("seed", SEEDS)
def test_a_kv_that_is_staler_than_cloudflares_does_not_brick_the_login_either(seed: int) -> None:
    report = run("worst KV", seed)
    assert report.counts["refused"] > 100
    assert report.share("failed after retries") < 0.02


@pytest.mark.parametrize("seed", [4, 16])
def test_no_token_is_lost_that_is_replaced_while_kv_takes_no_writes(seed: int) -> None:
    report = simulate(small("failing writes"), seed)
    print(f"\n{HEADER}\n{row(report)}")
    assert report.problems == []
    assert report.per_day("refreshed") > 200
    assert report.counts["failed writes"] > 500
    assert report.share("failed after retries") < 0.02


def test_the_same_seed_gives_the_same_month() -> None:
    scenario = replace(small("no cron"), days=4.0)
    one, two = simulate(scenario, 7), simulate(scenario, 7)
    assert row(one) == row(two)
    assert row(one) != row(simulate(scenario, 8))


async def delete_on_400(job: Job, look: KvLook, refused: oauth.Refused, spent: str) -> None:
    """What the predecessor did: it took a refused refresh token for the stored one and deleted that."""
    namespace = cast(MemoryKV, job.runtime.kv).namespace
    for key in list(namespace.history):
        namespace.commit(key, None, asyncio.get_running_loop().time())
    job.state.held.token = None


def test_the_simulation_notices_a_refusal_that_deletes_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewal, "doubt", delete_on_400)
    report = simulate(replace(small("no cron"), days=4.0, quiet_nights=1.0, new_logins=0), 1)
    assert any("deleted" in problem for problem in report.problems)
    assert report.share("failed after retries") > 0.01
