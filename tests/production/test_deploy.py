"""What a deployment would send: wrangler bundles the project, as far as it goes without an account."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.production.node import newest_node
from tests.production.pyodide_worker import sdk_files
from tools.repository import ROOT, WRANGLER_TOML

WRANGLER = ROOT / "node_modules" / "wrangler" / "bin" / "wrangler.js"
PAGE = ("public", "tools/build_page.mjs", "docs/clients.md", "node_modules/uplot")
"""What the page is made of, besides the sources."""
COMPRESSED_LIMIT_KIB = 300
"""Workers' free plan takes 3 MB; most of what we send is source that is compiled at each start."""


class Deployment:
    """A dry run: what wrangler printed, and the folder with what it would upload."""

    def __init__(self, source: Path, modules: Path, directory: Path) -> None:
        self.bundle = directory / "bundle"
        project = directory / "project"
        shutil.copytree(source, project / "src")
        shutil.copytree(modules, project / "python_modules")
        shutil.copy(WRANGLER_TOML, project)
        for name in PAGE:
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, project / name)
        shutil.rmtree(project / "public" / "page" / "built", ignore_errors=True)
        finished = subprocess.run(
            [newest_node(), WRANGLER, "deploy", "--dry-run", f"--outdir={self.bundle}"],
            cwd=project,
            env={
                **os.environ,
                "WRANGLER_SEND_METRICS": "false",
                "WRANGLER_LOG_PATH": str(directory / "logs"),
                "NO_COLOR": "1",
                # The search for a newer wrangler asks the registry; there is none here to ask.
                "npm_config_registry": "http://127.0.0.1:9",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.output = finished.stdout
        self.public = project / "public"
        assert finished.returncode == 0, self.output


@pytest.fixture(scope="module")
def deployment(source: Path, python_modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """One dry run for all tests."""
    return Deployment(source, python_modules, tmp_path_factory.mktemp("deployment"))


def test_wrangler_has_nothing_to_complain_about(deployment: Deployment) -> None:
    assert "--dry-run: exiting now." in deployment.output
    assert "WARNING" not in deployment.output
    assert "ERROR" not in deployment.output


def test_the_bindings_are_those_of_the_configuration(deployment: Deployment) -> None:
    assert re.findall(r"^env\.(\w+)", deployment.output, re.MULTILINE) == ["QWEN_KV", "USAGE_DB"]


def test_the_page_is_completed_and_sent(deployment: Deployment) -> None:
    files = list(deployment.public.rglob("*"))
    read = re.search(r"Read (\d+) files from the assets directory", deployment.output)

    assert read is not None
    assert int(read[1]) == len(files), "wrangler counts folders too"
    assert {"uplot.js", "uplot.css", "snippets.json"} <= {file.name for file in files}
    # With one, the Worker would have to fetch the files itself.
    assert "env.ASSETS" not in deployment.output


def test_the_source_and_the_sdk_are_sent_and_nothing_else(deployment: Deployment, source: Path) -> None:
    ours = {str(file.relative_to(source)) for file in source.rglob("*.py")}
    vendored = {f"python_modules/{file}" for file in sdk_files()}

    sent = {str(f.relative_to(deployment.bundle)) for f in deployment.bundle.rglob("*") if f.is_file()}

    assert ours <= sent
    assert sent - ours - vendored <= {"README.md"}  # wrangler's own note on the folder
    assert "python_modules/workers/__init__.py" in sent


def test_the_upload_is_small(deployment: Deployment) -> None:
    size = re.search(r"gzip: ([\d.]+) KiB", deployment.output)

    assert size is not None
    assert float(size[1]) < COMPRESSED_LIMIT_KIB
