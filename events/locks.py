"""The numbers of our advisory locks in Postgres: all in one place, so that no two are the same."""

from typing import Final

EVENT_ORDER: Final = 0x5351_0001
"""Held to the commit by whoever draws event ids."""
DISPATCHER: Final = 0x5351_0002
"""Held by the leading dispatcher for as long as it leads."""
MIGRATION: Final = 0x5351_0003
"""Held by whoever brings the database up to date."""
FIRST_KEY: Final = 0x5351_0004
"""Held to the commit by whoever makes the first API key."""
BACKUP: Final = 0x5351_0005
"""Held by whoever makes a backup or puts one back."""
