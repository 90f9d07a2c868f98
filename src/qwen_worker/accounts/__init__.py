"""Several accounts behind one endpoint: which ones there are, whose turn it is, which of them rest."""
