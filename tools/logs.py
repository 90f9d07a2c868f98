"""`make logs`: the log of the deployed Worker, as it is written (`wrangler tail`), readable.

`ID=` shows one request only, by the id that its client got in `x-request-id`. Arguments are passed on to
wrangler, such as `--status=error`. Colours only on a terminal, and not with NO_COLOR.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress

from tools import setup_environment
from tools.put_login import make_ready
from tools.repository import ROOT
from tools.wrangler import command, quiet_environment


def main() -> None:
    """Shows the log until Ctrl-C, or ends with 1 after saying what is missing."""
    setup_environment.check_python()
    from tools.log_lines import LogFormat, documents  # an old Python cannot load it

    make_ready("logs")
    request_id = os.environ.get("ID") or None
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    log_format = LogFormat(colours=colours, request_id=request_id)
    what = f"the lines of {request_id}" if request_id else "each request, when it has ended"
    print(f"logs: shows {what} (Ctrl-C ends it)", flush=True)
    tail = subprocess.Popen(
        command("tail", "--format=json", *sys.argv[1:]),
        cwd=ROOT,
        env=quiet_environment(),
        stdout=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    with suppress(KeyboardInterrupt), tail:
        for event in documents(tail.stdout or ()):
            shown = log_format.shown(event)
            if shown is not None:
                print(shown, flush=True)
    sys.exit(1 if tail.returncode and tail.returncode > 0 else 0)


if __name__ == "__main__":
    main()
