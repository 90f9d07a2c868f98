"""The simulation's reports as lines of a table."""

from __future__ import annotations

from tests.simulation.report import Report

HEADER = (
    f"{'scenario':20} {'seed':>5} {'isolates':>9} {'requests':>9} {'error':>8} {'failed':>8} "
    f"{'refresh/d':>9} {'refused/d':>9} {'KV get/d':>8} {'KV put/d':>8} {'dark':>6}  error codes"
)


def row(report: Report) -> str:
    """One line.

    `error` is the share of requests whose first answer was an error, `failed` the share that failed after the
    SDK's two retries, `dark` the longest time in seconds during which nobody got a token.
    """
    codes = ", ".join(
        f"{code.removeprefix('credentials_')} {n}" for code, n in report.error_codes.most_common()
    )
    return (
        f"{report.scenario.name:20} {report.seed:>5} {report.counts['isolates']:>9} {report.requests:>9} "
        f"{report.share('first answer an error'):>8.4%} {report.share('failed after retries'):>8.4%} "
        f"{report.per_day('refreshed'):>9.1f} {report.per_day('refused'):>9.1f} "
        f"{report.per_day('reads'):>8.0f} {report.per_day('writes'):>8.1f} "
        f"{report.longest_dark_seconds:>6.0f}  {codes}"
    )
