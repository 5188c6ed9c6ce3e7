"""How fast StableQueue is on this machine, measured from outside against simulated Forges."""
