"""`python -m tests.simulation`: runs the simulation and prints its results; `--seed N` replays one."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

from tests.simulation.scenarios import SCENARIOS, small
from tests.simulation.simulation import simulate
from tests.simulation.table import HEADER, row


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this seed alone")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds, from 1 on")
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), help="this scenario alone")
    parser.add_argument("--small", action="store_true", help="in the size of the test run")
    parser.add_argument("--days", type=float, help="how many days instead of 30")
    arguments = parser.parse_args()
    seeds = [arguments.seed] if arguments.seed is not None else range(1, arguments.seeds + 1)
    names = [arguments.scenario] if arguments.scenario else list(SCENARIOS)
    failed = False
    print(HEADER)
    for name in names:
        for seed in seeds:
            started = time.perf_counter()
            scenario = small(name) if arguments.small else SCENARIOS[name]
            report = simulate(replace(scenario, days=arguments.days or scenario.days), seed)
            print(row(report), f"{time.perf_counter() - started:4.1f} s", flush=True)
            for problem in report.problems:
                failed = True
                print(f"  PROBLEM: {problem}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
