"""The version, which is written only here: pyproject.toml, the log and /health read it."""

__version__ = "1.1.0"
