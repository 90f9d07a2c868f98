"""The accounts of a fresh isolate."""

from qwen_worker.accounts.pool import AccountPool
from qwen_worker.config.settings import Settings
from qwen_worker.credentials.state import CredentialState


def new_pool(settings: Settings) -> AccountPool:
    """What the settings' accounts are before any request."""
    return AccountPool(settings, CredentialState())
