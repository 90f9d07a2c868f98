"""`make dev`, or `python -m tools.dev` without make: serves the Worker on this machine until Ctrl-C.

PORT, HOST and STATE in the environment change where; see `dev_server`.
"""

from __future__ import annotations

import os
import sys

from tools import setup_environment


def main() -> None:
    """Installs what is missing, and serves with what was installed."""
    if os.name == "nt":
        sys.exit("dev: the local runtime needs Linux or macOS. Run this in WSL: docs/windows.md")
    setup_environment.enter_environment("tools.dev")
    from tools import dev_server  # needs what was installed

    dev_server.main()


if __name__ == "__main__":
    main()
