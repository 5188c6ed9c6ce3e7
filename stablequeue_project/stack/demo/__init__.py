"""`./stablequeue demo`: StableQueue at work, with simulated Forges and jobs to watch."""
