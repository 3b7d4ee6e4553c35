"""What counts as a secret is masked everywhere; everything else stays readable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.observability import redaction
from worker.observability.redaction import (
    _SHAPES,
    MASK,
    _is_harmless,
    _masked,
    redact,
    redact_text,
    register_secrets,
)


@pytest.mark.parametrize(
    "text",
    [
        "IST.eyJraWQi.eyJkYXRh.c2ln",
        "Authorization: Bearer abcdef123456",
        "mail buyer@example.co.uk now",
        "redis://user:hunter22@host:6379/0",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl",
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str) -> None:
    """Keys, tokens, addresses and passwords have known formats."""
    masked = redact_text(text)
    assert MASK in masked
    for part in ("eyJ", "abcdef", "buyer@", "hunter22"):
        assert part not in masked


@pytest.mark.parametrize(
    "mail",
    [
        *(
            "bob@münchen.de",
            "jörg@example.com",
            "bob%40example.com",
            "bob@例え.jp",
            "a.b+c@x.co.uk",
        ),
        *('"bob smith"@example.com', '"bob@home"@example.com', '\\"bob smith\\"@example.com'),
        *("user@localhost", "root@mail-1", "bob@[127.0.0.1]", '"bob"%40localhost'),
    ],
)
def test_every_email_address_is_masked_as_a_whole(mail: str) -> None:
    """In other scripts, in percent-encoding, with a quoted name, and without a dot."""
    assert redact_text(f"for {mail} only") == f"for {MASK} only"


def test_a_lone_surrogate_is_replaced() -> None:
    """It cannot be encoded as UTF-8, so writing it would fail."""
    assert redact_text("cut \ud83d off") == "cut ? off"


@pytest.mark.parametrize(
    "part", ["x", "a.", "a%40", "a.b@", '"', '"a', "@[", "eyJa.", "bearer ", "://:"]
)
def test_a_very_long_text_is_masked_in_linear_time(part: str) -> None:
    """In quadratic time it would take days and block all threads."""
    assert redact_text(part * 500_000)


def test_a_field_with_the_name_of_a_secret_is_masked_at_any_depth() -> None:
    """Whatever its value looks like."""
    value = {"a": [{"api_key": "plain", "Authorization": "x"}], "email": "", "attempt": 3}
    masked = redact(value)
    assert masked == {"a": [{"api_key": MASK, "Authorization": MASK}], "email": "", "attempt": 3}


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        ("password", True),
        ("api_key", True),
        ("apiKey", True),
        ("API-Key", True),
        ("x-api-key", True),
        ("Authorization", True),
        ("token", True),
        ("access_token", True),
        ("REFUNDS_VAULT_KEYS", True),
        ("REFUNDS_STORES", True),
        ("stores", False),
        ("tokens", False),
        ("checkout_token", False),
        ("secretary", False),
        ("password_changed", False),
        ("monkey", False),
    ],
)
def test_a_field_is_masked_by_its_exact_name(name: str, is_secret: bool) -> None:
    """Whatever its capitals and separators are; a part of a name says nothing."""
    assert redact({name: "plain"}) == {name: MASK if is_secret else "plain"}


def test_what_is_wrong_with_a_field_can_be_read() -> None:
    """The sentence does not contain the value, whatever the name of the field."""
    problems = {"problems": {"token": "there is no such field"}}
    assert redact(problems) == problems


def test_registered_values_are_masked_everywhere() -> None:
    """A secret need not look like one; values that are too short are not registered."""
    register_secrets(["correct horse", "short"])
    assert redact_text("a correct horse, short") == f"a {MASK}, short"
    assert redact({"x": object, "y": None, "z": True})["y"] is None


@pytest.mark.parametrize("few", [0, 1_000_000])
def test_each_part_of_a_registered_key_is_masked(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key may be cut or wrapped; what is left of it is still a secret: of few keys, of many."""
    monkeypatch.setattr(redaction, "_FEW", few)
    register_secrets(["IST.the_head_of-it.the-payload99.theSignature_0-1"])
    text = "payload=the-payload99, then theSignature_0-1\nand the_head_of-it."
    assert redact_text(text) == f"payload={MASK}, then {MASK}\nand {MASK}."
    assert redact_text("xtheSignature_0-1x the-payload9") == "xtheSignature_0-1x the-payload9"


#: Pieces of secrets, and what may stand around them.
_PIECES = st.sampled_from(
    [
        *("IST.", "eyJ", "abcdef", "0123456789", "Bearer ", "bEaReR\t", "@", "%40", "://", "u:pw@"),
        *(
            '"',
            "\\",
            ".",
            "-",
            "_",
            " ",
            "\n",
            ",",
            "[",
            "]",
            "mail",
            "localhost",
            "\xe9",
            "\ud83d",
        ),
    ]
)
_TEXTS = st.lists(_PIECES, max_size=8).map("".join)


@given(_TEXTS)
def test_the_fast_check_overlooks_no_secret(text: str) -> None:
    """What it calls harmless has neither a known format nor half a surrogate pair."""
    if _is_harmless(text):
        assert _SHAPES.search(text) is None
        assert text.encode().decode() == text


@given(
    st.dictionaries(st.sampled_from(["why", "api_key", "\xe9", "a@b.c", "n"]), _TEXTS | st.none())
)
def test_an_event_is_masked_like_each_of_its_fields(event: dict[str, str | None]) -> None:
    """One check of all texts finds what a check of each finds."""
    assert redact(event) == _masked(event, "")


def test_a_nested_field_of_an_event_is_masked() -> None:
    """Also if the texts beside it are harmless."""
    event = {"event": "x", "store": {"api_key": "plain", "n": 1}, "list": ("bob@example.com", 2)}
    masked = {"event": "x", "store": {"api_key": MASK, "n": 1}, "list": [MASK, 2]}
    assert redact(event) == masked


def test_ids_and_amounts_stay_readable() -> None:
    """People on call need them."""
    innocent = "4b296c48-0000-4000-8000-000000000001 rf-2024-000123~4 101.40 USD get_order HTTP 503"
    assert redact_text(innocent) == innocent
