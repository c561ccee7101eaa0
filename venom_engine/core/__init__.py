"""Doing: the loops, and the order "store, then tell"."""
