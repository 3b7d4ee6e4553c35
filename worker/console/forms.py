"""What a request brings along: fields of the address and of forms, and where it comes from."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request

from worker.console.refusals import Refusal
from worker.serving.body import Cut, TooLarge, TooSlow, read_body

#: A form with a thousand selected ids fits.
MOST_FORM_BYTES = 131_072
MOST_FIELDS = 1_100
_FORM = "application/x-www-form-urlencoded"
#: An address of ours: no scheme, no host, nothing that ends a header.
_LOCAL = re.compile(r"/(?![/\\])[A-Za-z0-9._~/?=&%:+*,@-]{0,1000}")
#: The field of a form that proves that we made it.
CSRF = "csrf"


@dataclass(frozen=True)
class Fields:
    """Fields by name; each may be there several times."""

    values: Mapping[str, list[str]]

    def one(self, name: str, default: str = "") -> str:
        """Return the first value of a field, without blanks around it."""
        return self.values.get(name, [default])[0].strip()

    def all(self, name: str) -> list[str]:
        """Return all values of a field, each once."""
        return list(dict.fromkeys(self.values.get(name, [])))


def fields_of(text: str) -> Fields:
    """Return the fields of a query or of a form.

    Raises:
        Refusal: it cannot be read.
    """
    try:
        return Fields(
            parse_qs(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
        )
    except ValueError:  # also what is not UTF-8
        raise Refusal(400, "The fields of the request cannot be read.") from None


async def read_form(request: Request) -> Fields:
    """Return the fields of a form.

    Raises:
        Refusal: it is no form, it is too large, or it did not arrive.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise Refusal(415, "The console only takes its own forms.")
    try:
        body = await read_body(request, MOST_FORM_BYTES)
    except TooLarge:
        raise Refusal(413, "The form is too large.", {"Connection": "close"}) from None
    except TooSlow:
        raise Refusal(408, "The form took too long to arrive.") from None
    except Cut:
        raise Refusal(400, "The form did not arrive as a whole.") from None
    return fields_of(body.decode("ascii", "replace"))


def check_origin(request: Request) -> None:
    """Refuse a form that another site sends. Browsers say where it comes from.

    Raises:
        Refusal: it comes from elsewhere.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    is_ours = (
        site == "same-origin"
        if site is not None
        else origin is None or _is_host_of(request, origin)
    )
    if not is_ours:
        raise Refusal(403, "This form was sent by another site.")


def _is_host_of(request: Request, origin: str) -> bool:
    try:
        host = urlsplit(origin).netloc
    except ValueError:  # as for "http://["
        return False
    return bool(host) and host == request.headers.get("host")


def check_csrf(form: Fields, expected: str) -> None:
    """Refuse a form that we did not make for this session.

    Raises:
        Refusal: its proof is missing or wrong.
    """
    if not hmac.compare_digest(form.one(CSRF).encode(), expected.encode()):
        raise Refusal(403, "This form is out of date: go back, load the page again, and repeat it.")


def local_address(given: str) -> str:
    """Return *given* if it is an address of the console, else the first page."""
    return given if _LOCAL.fullmatch(given) else "/"
