"""Breaking a whole StableQueue on purpose, by a seed, and checking that it keeps its promise."""
