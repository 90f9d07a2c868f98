"""Anthropic's Messages API: requests checked, made fit for a host that speaks it, or bridged through chat
completions, and the answers of that bridge.
"""
