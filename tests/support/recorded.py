"""Where bodies lie as real clients sent them: beside this repository, or where RECORDED_REQUESTS says."""

import os
from pathlib import Path

RECORDED = Path(
    os.environ.get("RECORDED_REQUESTS")
    or Path(__file__).resolve().parents[3] / "shared" / "data" / "requests"
)
