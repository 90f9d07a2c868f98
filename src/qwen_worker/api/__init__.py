"""What clients speak: a folder or a file an API. Knows no account and no host."""
