"""What the Makefile runs. Each `python -m tools.<name>` works without make too."""

import sys
from pathlib import Path

_SOURCE = str(Path(__file__).resolve().parent.parent / "src")
if _SOURCE not in sys.path:
    # The tools use the Worker's own modules, and nothing of this repository is installed.
    sys.path.insert(0, _SOURCE)
