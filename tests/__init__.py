"""Tests of qwen-worker and the tools they share."""
