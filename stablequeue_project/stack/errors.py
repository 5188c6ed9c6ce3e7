"""What the stack cannot do, said to the person who started it."""

from __future__ import annotations


class StackError(Exception):
    """The stack cannot start or go on.

    `code` is for programs and tests; the text is one sentence that says what to do.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
