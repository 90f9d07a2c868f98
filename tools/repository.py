"""Where things are in this repository."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
WRANGLER_TOML = ROOT / "wrangler.toml"
DEV_VARS = ROOT / ".dev.vars"
EMBEDDED_RUNTIME = ROOT / "tools" / "embedded-runtime"
# Everything that local runs leave behind; ignored by git.
LOCAL = ROOT / ".wrangler"
