"""The credentials that the gateway calls Qwen with, and how they stay valid."""
