"""The one source of the version: pyproject.toml, /health and the User-Agent of the docs read it here."""

__version__ = "1.0.0"
