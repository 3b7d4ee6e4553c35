"""Wix's answers to a call that it does not carry out. W3."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
#: The answer of a gateway in front of Wix. W3.
HTML = b"<html><body>Forbidden</body></html>"


class Refusal(Exception):
    """An answer other than 200: the *code* of a business rule, or *violations* of the shape.

    *data* goes with the code; *html* means a page of HTML instead of JSON.
    """

    def __init__(
        self,
        status: int,
        code: str = "",
        data: Json | None = None,
        *,
        violations: list[Json] | None = None,
        html: bool = False,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.data = data or {}
        self.violations = violations or []
        self.html = html

    def body(self) -> Json | bytes:
        """Return the body of the answer."""
        if self.html:
            return HTML
        if self.violations:
            return invalid(self.violations)
        return refused(self.status, self.code, self.data)

    def details(self) -> Json:
        """Return the value of `details`, for answers with status 200 that contain errors."""
        body = self.body()
        found: Json = {} if isinstance(body, bytes) else body["details"]
        return found


def refused(status: int, code: str, data: Json) -> Json:
    """Return an error body: that of a 5xx is empty, that of a 403 has no description. W3."""
    if status >= 500 or not code:
        return {"message": "", "details": {}}
    text = "" if status == 403 else code.replace("_", " ").capitalize()
    inner = {"code": code, "description": text, "data": data}
    return {"message": text, "details": {"applicationError": inner}}


def invalid(violations: list[Json]) -> Json:
    """Return the error body for a request that does not have the documented shape."""
    message = ", ".join(f"{v['field']} {v['description']}" for v in violations)
    return {"message": message, "details": {"validationError": {"fieldViolations": violations}}}
