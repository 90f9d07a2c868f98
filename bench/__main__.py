"""Runs the benchmark and writes bench/RESULTS.md: `python -m bench [--quick] [PART ...]`.

Parts: chunks, requests, latency, pyodide, translation, responses, messages, embeddings, concurrency, start,
endurance, usage (default: all).
`--quick`: fewer repetitions, to see that everything runs. RESULTS.md is written only after a whole run that
was not quick.
"""

import argparse
import asyncio
import datetime
import os
import platform
import time
from pathlib import Path

from bench import (
    chunk_cost,
    cold_start,
    concurrency,
    embeddings_cost,
    endurance,
    latency,
    messages_cost,
    pyodide_cost,
    request_cost,
    responses,
    translation,
    usage_cost,
)
from bench.report import Section, results_document, table_of_targets
from bench.workers import CURRENT, EMBEDDED, upstream

PARTS = {
    "chunks": chunk_cost.measure,
    "requests": request_cost.measure,
    "latency": latency.measure,
    "pyodide": pyodide_cost.measure,
    "translation": translation.measure,
    "responses": responses.measure,
    "messages": messages_cost.measure,
    "embeddings": embeddings_cost.measure,
    "concurrency": concurrency.measure,
    "start": cold_start.measure,
    "endurance": endurance.measure,
    "usage": usage_cost.measure,
}
RESULTS = Path(__file__).parent / "RESULTS.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures the Worker.")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions; RESULTS.md is not written")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    options = parser.parse_args()
    unknown = set(options.parts) - PARTS.keys()
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    sections: list[Section] = []
    began = time.monotonic()
    with upstream() as port:
        for name in options.parts or PARTS:
            part_began = time.monotonic()
            for section in asyncio.run(PARTS[name](port, quick=options.quick)):
                sections.append(section)
                print(section.as_markdown(), flush=True)
            print(f"({name} took {time.monotonic() - part_began:.0f} s)\n", flush=True)
    print(table_of_targets(sections))
    minutes = (time.monotonic() - began) / 60
    print(f"\nAll this took {minutes:.1f} minutes.")
    if not options.quick and not options.parts:
        RESULTS.write_text(results_document(sections, _setting(minutes), RESULTS))
        print(f"\nwritten: {RESULTS.name}")


def _setting(minutes: float) -> str:
    """What was measured, where and when, and how long it took."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    cores = os.cpu_count()
    current = f" and {CURRENT.version}" if CURRENT is not None else ""
    return (
        f"{today}, in {minutes:.1f} minutes, {EMBEDDED.version} (Pyodide 0.26, Python 3.12){current}, "
        f"{cores} cores {platform.machine()}, Linux {platform.release().split('-')[0]}, load client and "
        f"upstream in Python {platform.python_version()}."
    )


if __name__ == "__main__":
    main()
