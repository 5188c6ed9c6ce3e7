"""Keeping a copy of everything, and putting it back: `./stablequeue backup` and `restore`."""
