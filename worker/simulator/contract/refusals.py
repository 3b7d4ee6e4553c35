"""What Wix says when it does not do a call. W3."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
#: As a gateway answers for a service. W3.
HTML = b"<html><body>Forbidden</body></html>"


class Refusal(Exception):
    """An answer other than 200: a business rule's *code*, or the *violations* of a wrong request.

    *data* is what Wix puts beside the code; *html* means a page instead of JSON.
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
        """The body on the wire."""
        if self.html:
            return HTML
        if self.violations:
            return invalid(self.violations)
        return refused(self.status, self.code, self.data)

    def details(self) -> Json:
        """What stands under `details`, for answers that carry errors inside."""
        body = self.body()
        found: Json = {} if isinstance(body, bytes) else body["details"]
        return found


def refused(status: int, code: str, data: Json) -> Json:
    """An error body. 5xx are empty by design, 403 has no description. W3."""
    if status >= 500 or not code:
        return {"message": "", "details": {}}
    text = "" if status == 403 else code.replace("_", " ").capitalize()
    inner = {"code": code, "description": text, "data": data}
    return {"message": text, "details": {"applicationError": inner}}


def invalid(violations: list[Json]) -> Json:
    """The body of a request that breaks its documented shape."""
    said = ", ".join(f"{v['field']} {v['description']}" for v in violations)
    return {"message": said, "details": {"validationError": {"fieldViolations": violations}}}
