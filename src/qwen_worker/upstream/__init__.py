"""Qwen's API: requests to it, answers from it, the stream between."""
