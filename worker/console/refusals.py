"""The one error of the pages."""

from __future__ import annotations

from collections.abc import Mapping

#: What a form is answered that reached Redis, or did not: the reply is lost.
NOT_KNOWN = "It is not known whether this was done: look before you repeat it."


class Refusal(Exception):
    """A request is refused; the text is shown to the user, and repeats nothing of the request."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.text = text
        self.headers = dict(headers or {})
        super().__init__(text)
