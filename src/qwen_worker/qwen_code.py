"""The client that requests to Qwen name: the official CLI, Qwen Code."""

QWEN_CODE_VERSION = "0.24.4"
"""The release of the official CLI that the gateway's requests imitate."""

USER_AGENT = f"QwenCode/{QWEN_CODE_VERSION} (linux; x64)"
