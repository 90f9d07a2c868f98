"""Starting pywrangler, Cloudflare's tool for Python Workers, in the version that pyproject.toml pins.

In an environment of its own: within the project uv would first install what the tests need, and a deployment
must not depend on that.
"""

from __future__ import annotations

from tools.setup_environment import dependency_groups


def pywrangler_command(*arguments: str) -> list[str]:
    """The command line of a call to pywrangler."""
    return ["uv", "tool", "run", "--from", pinned_requirement(), "pywrangler", *arguments]


def pinned_requirement() -> str:
    """`workers-py==<version>`, as the dependency group `dev` has it."""
    groups = dependency_groups()
    development = groups["dev"] if isinstance(groups, dict) else []
    return str(next(name for name in development if name.startswith("workers-py==")))
