"""Several accounts behind one endpoint: which there are, whose turn it is, which are in a cooldown."""
