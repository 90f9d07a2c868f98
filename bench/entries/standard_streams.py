"""Our Worker as it streams on the embedded runtime (way D)."""

from entry import on_fetch  # noqa: F401
