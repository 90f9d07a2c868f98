"""What an operator has configured: every variable, read, parsed and checked once."""
