import json
from pathlib import Path

import pytest

from tools.repository import ROOT
from tools.worker_config import (
    EMBEDDED_COMPATIBILITY_DATE,
    local_config,
    production_config,
    write_local_config,
)

SOURCE = Path("/somewhere/src")


def test_production_runs_python_314_and_provisions_its_stores() -> None:
    config = production_config()

    assert config["compatibility_date"] >= "2026-09-08"
    assert config["compatibility_flags"] == ["python_workers", "disable_python_no_global_handlers"]
    assert config["kv_namespaces"] == [{"binding": "QWEN_KV"}]
    assert config["d1_databases"] == [{"binding": "USAGE_DB"}]
    assert config["triggers"]["crons"]
    assert config["observability"]["enabled"] is True


def test_local_runs_have_what_the_embedded_runtime_needs() -> None:
    config = local_config(SOURCE, {})

    assert config["name"] == production_config()["name"]
    assert config["main"] == "/somewhere/src/entry.py"
    assert config["compatibility_date"] == EMBEDDED_COMPATIBILITY_DATE
    assert config["compatibility_flags"] == ["python_workers"]
    assert config["kv_namespaces"] == [{"binding": "QWEN_KV", "id": "qwen_kv"}]
    assert config["d1_databases"] == [{"binding": "USAGE_DB", "database_id": "usage_db"}]
    assert "triggers" not in config


def test_the_page_is_found_from_any_folder_and_complete(tmp_path: Path) -> None:
    config = json.loads(write_local_config(tmp_path, SOURCE, {}).read_text())

    assert config["assets"] == {"directory": str(ROOT / "public")}
    assert (ROOT / "public" / "page" / "built" / "snippets.json").is_file()


def test_local_runs_have_no_build_command() -> None:
    """With one, the embedded wrangler no longer notices that a module was changed."""
    assert "build" not in local_config(SOURCE, {})


def test_rate_limits_are_named_as_the_embedded_wrangler_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = {"name": "RATE_LIMIT_60", "namespace_id": "60", "simple": {"limit": 60, "period": 60}}
    config = {**production_config(), "ratelimits": [limit]}
    monkeypatch.setattr("tools.worker_config.production_config", lambda: config)

    local = local_config(SOURCE, {})

    assert "ratelimits" not in local
    assert local["unsafe"] == {"bindings": [{"type": "ratelimit", **limit}]}


def test_variables_are_added_as_they_are() -> None:
    variables = {"QWEN_CLI_AUTH": '{"a": "b\\nc"}\n', "LOG_LEVEL": "debug"}

    assert local_config(SOURCE, variables)["vars"] == variables


def test_the_file_with_the_variables_is_its_owners_alone(tmp_path: Path) -> None:
    path = write_local_config(tmp_path / "new", SOURCE, {"QWEN_API_KEY": "test-api-key"})

    assert path.stat().st_mode & 0o077 == 0
