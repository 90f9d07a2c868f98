"""Who our requests to Qwen say that they are: the official CLI, Qwen Code."""

QWEN_CODE_VERSION = "0.24.4"
"""The release of the official CLI whose requests ours look like."""

USER_AGENT = f"QwenCode/{QWEN_CODE_VERSION} (linux; x64)"
