"""In production no request compiles a module: what is imported late elsewhere is preloaded there."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"
PRELOAD = SOURCE / "qwen_worker" / "preload.py"


def imported(nodes: Iterator[ast.AST]) -> set[str]:
    """The Worker's own modules among what these nodes import."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            assert node.level == 0, "the Worker's imports are absolute"
            for alias in node.names:
                submodule = SOURCE / Path(*node.module.split("."), f"{alias.name}.py")
                names.add(f"{node.module}.{alias.name}" if submodule.exists() else node.module)
    return {name for name in names if name.startswith("qwen_worker")}


def imported_late(tree: ast.Module) -> set[str]:
    """What the functions of a module import."""
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return imported(node for function in functions for node in ast.walk(function))


def test_exactly_what_functions_import_is_preloaded() -> None:
    late: set[str] = set()
    for file in SOURCE.rglob("*.py"):
        late |= imported_late(ast.parse(file.read_text("utf-8")))
    assert len(late) > 5, "the late imports are found"
    assert imported(ast.walk(ast.parse(PRELOAD.read_text("utf-8")))) == late


def test_production_preloads_and_the_embedded_runtime_does_not() -> None:
    entry = ast.parse((SOURCE / "entry.py").read_text("utf-8"))
    [branch] = [node for node in entry.body if isinstance(node, ast.If)]
    assert ast.unparse(branch.test) == "not IS_EMBEDDED"
    assert imported(iter(branch.body)) == {"qwen_worker.preload"}
    assert "qwen_worker.preload" not in imported(iter(entry.body))


def test_a_key_alone_loads_nothing_that_only_logins_need() -> None:
    """Importing the gateway and reading a key's configuration, as each start does."""
    script = """
import sys
import qwen_worker.app
from qwen_worker.accounts.pool import AccountPool
from qwen_worker.config.settings import Settings
settings = Settings.from_env({"QWEN_API_KEY": "key-1", "OPENAI_API_KEY": "test-client-key"})
AccountPool(settings, {})
print(*sys.modules)
"""
    loaded = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    late = imported(ast.walk(ast.parse(PRELOAD.read_text("utf-8"))))
    assert "qwen_worker.app" in loaded
    assert not (late | {"hmac", "hashlib", "qwen_worker.platform.protocols"}) & set(loaded)
    assert not [name for name in loaded if name.startswith("qwen_worker.credentials.") and "login" in name]
