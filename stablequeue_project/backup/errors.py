"""What a backup or a restore cannot do, said to the person who asked for it."""

from __future__ import annotations


class BackupError(Exception):
    """Nothing was written, or nothing was changed.

    `code` is for programs and tests; the text is one sentence that says what to do.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class ArchiveDamaged(BackupError):
    """A file that is no backup of ours, or no longer a whole one."""

    def __init__(self, what: str) -> None:
        super().__init__("ARCHIVE_DAMAGED", f"This is no intact backup: {what}")
