"""What Cloudflare's deploy button finds in this repository, as far as it can be tried without an account."""

import json
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.tools.checkout import Checkout
from tools.dev_vars import parse_dev_vars
from tools.pywrangler import pinned_requirement
from tools.repository import ROOT, WRANGLER_TOML

PACKAGE = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
CONFIG = tomllib.loads(WRANGLER_TOML.read_text(encoding="utf-8"))


def test_it_asks_for_the_two_secrets_that_matter_and_explains_them() -> None:
    example = (ROOT / ".dev.vars.example").read_text(encoding="utf-8")
    asked = set(parse_dev_vars(example).values)
    bindings = {entry["binding"] for kind in ("kv_namespaces", "d1_databases") for entry in CONFIG[kind]}

    assert asked == {"QWEN_API_KEY", "CLIENT_KEYS"}
    assert set(PACKAGE["cloudflare"]["bindings"]) == asked | bindings


def test_it_creates_the_namespace_and_the_database() -> None:
    for kind, name in (("kv_namespaces", "id"), ("d1_databases", "database_id")):
        for entry in CONFIG[kind]:
            assert name not in entry, "an id of somebody else's account cannot be bound"


@pytest.mark.parametrize("has_uv", [True, False])
def test_its_script_deploys_with_the_pinned_tools(has_uv: bool, tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    pip = checkout.path / "pip"
    restore = f"/bin/mv '{checkout.path}/hidden' '{checkout.path}/uv'"
    pip.write_text(f"#!/bin/sh\n[ \"$*\" = 'install uv' ] && {restore}\n")
    pip.chmod(0o755)
    if not has_uv:
        (checkout.path / "uv").rename(checkout.path / "hidden")

    result = subprocess.run(
        ["/bin/sh", "-c", f"{PACKAGE['scripts']['deploy']} --dry-run"],
        cwd=checkout.root,
        env={"PATH": str(checkout.path)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert result.returncode == 0, result
    (call,) = checkout.calls()
    assert call.program == "uv"
    assert call.arguments == [
        *("tool", "run", "--from", pinned_requirement(), "pywrangler", "deploy", "--dry-run")
    ]
