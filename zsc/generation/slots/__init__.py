"""Rows decoded together whatever step each is at: as one ends, the next example, seed or setting takes its place."""
