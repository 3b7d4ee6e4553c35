"""The one error of all acts."""

from __future__ import annotations


class CannotAct(Exception):
    """An act is refused; the text says why and what to do instead, without naming what it is."""


#: When two people act on the same refund or letter.
CHANGED = "changed in the meantime: look at it again"
NEWER = "needs a newer version of the worker, and of this command"
