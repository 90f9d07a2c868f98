"""The configuration: every variable, read, parsed and checked once."""
