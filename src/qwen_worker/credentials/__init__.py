"""Upstream credentials: what we call Qwen with, and how it stays valid."""
