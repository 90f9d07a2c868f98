"""What the Makefile runs: setup, local serving, and the pieces of both that tests and benchmarks share."""
