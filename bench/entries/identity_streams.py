"""Our Worker as it streams on current runtimes (way B)."""

import qwen_worker.platform.streams as streams

streams.HAS_CURRENT_STREAMS = True

from entry import on_fetch  # noqa: E402, F401
