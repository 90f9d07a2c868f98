"""Qwen's API: requests to it, and answers from it."""
