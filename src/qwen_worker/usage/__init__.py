"""What was used, by key, account and model; how much a key may use; and where it is kept."""
