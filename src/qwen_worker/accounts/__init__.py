"""Several accounts behind one endpoint: which accounts there are, whose turn it is, and which are in
cooldown.
"""
