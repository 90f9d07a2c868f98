"""The ports of the core and their implementation on Workers; the only package that touches the runtime."""
