"""`make deploy`: checks what a deployment needs and hands over to pywrangler.

pywrangler vendors the Workers SDK with uv and then runs the wrangler that package.json pins. Arguments are
passed on: `python3 -m tools.deploy --dry-run`.
"""

import os
import shutil
import sys

from tools import setup_environment
from tools.repository import ROOT


def main() -> None:
    """Replaces itself with `pywrangler deploy`, or ends with a message about what is missing."""
    setup_environment.check_python()
    uv = shutil.which("uv")
    if uv is None:
        sys.exit("deploy: uv is needed to deploy a Python Worker: https://docs.astral.sh/uv/")
    setup_environment.main(["--deploy"])
    os.chdir(ROOT)
    os.execv(uv, [uv, "run", "--only-group", "dev", "pywrangler", "deploy", *sys.argv[1:]])  # noqa: S606


if __name__ == "__main__":
    main()
