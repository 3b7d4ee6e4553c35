"""What people paste is cleaned, every change is reported, and no value is repeated."""

from __future__ import annotations

import pytest

from worker.stores.pasted import Pasted, clean

SITE, ACCOUNT = "4b296c48-0000-4000-8000-00000000abcd", "0f5b7a1e-0000-4000-8000-000000000002"
KEY = "IST.head_er.pay-load.signature"


def _clean(site_id: str = SITE, account_id: str = ACCOUNT, api_key: str = KEY) -> Pasted:
    return clean(site_id=site_id, account_id=account_id, api_key=api_key)


def test_correct_values_stay_as_they_are() -> None:
    """No note, no warning, no problem."""
    pasted = _clean()
    assert (pasted.site_id, pasted.account_id, pasted.api_key) == (SITE, ACCOUNT, KEY)
    assert (pasted.cleaned, pasted.warnings, pasted.problems) == ((), (), ())


@pytest.mark.parametrize(
    ("paste", "note"),
    [
        (f"  {KEY}\n", "removed spaces or line breaks around it"),
        (f"\u00a0{KEY}\u00a0", "removed spaces or line breaks around it"),
        (f"{KEY[:9]}\r\n   {KEY[9:]}", "removed spaces or line breaks inside it"),
        (f"{KEY[:9]}\u00a0{KEY[9:]}", "removed spaces or line breaks inside it"),
        (f"\ufeff{KEY[:5]}\u200b{KEY[5:]}", "removed invisible characters"),
        (f'"{KEY}"', "removed quotes around it"),
        (f"'{KEY}',", "removed quotes around it"),
        (f"\u201c{KEY}\u201d", "removed quotes around it"),
        (f"Bearer {KEY}", "removed a leading “Bearer”"),
        (f"bearer   {KEY}", "removed a leading “Bearer”"),
        (f'"Bearer {KEY}"', "removed a leading “Bearer”"),
    ],
)
def test_a_key_is_cleaned_and_the_change_is_reported(paste: str, note: str) -> None:
    """The note says what was removed, but does not contain the key."""
    pasted = _clean(api_key=paste)
    assert pasted.api_key == KEY
    assert f"API Key: {note}" in pasted.cleaned
    assert "head_er" not in repr(pasted)


@pytest.mark.parametrize(
    "paste",
    [
        f"https://manage.wix.com/dashboard/{SITE}/home",
        f"manage.wix.com/dashboard/{SITE}",
        f"https://manage.wix.com/dashboard/{SITE.upper()}?referralInfo=x",
        f" https://manage.wix.com/dashboard/{SITE}#top ",
        f"<https://manage.wix.com/dashboard/{SITE}/ecom-platform/orders>",
    ],
)
def test_the_site_id_is_taken_from_the_dashboards_url(paste: str) -> None:
    """People copy the whole address bar."""
    pasted = _clean(site_id=paste)
    assert pasted.site_id == SITE
    assert "Site ID: taken from the dashboard's URL" in pasted.cleaned


@pytest.mark.parametrize("paste", [f" {SITE.upper()} ", f'"{SITE}"', f"\u200b{SITE}"])
def test_both_ids_are_cleaned(paste: str) -> None:
    """The Site ID and the Account ID alike."""
    assert _clean(site_id=paste).site_id == SITE
    assert _clean(account_id=paste, site_id=ACCOUNT).account_id == SITE


@pytest.mark.parametrize(
    ("field", "paste", "problem"),
    [
        ("site_id", "", "the Site ID is empty"),
        ("site_id", "my-shop", "the Site ID is not a UUID"),
        ("account_id", "12345", "the Account ID is not a UUID"),
        ("account_id", SITE, "are the same"),
        ("api_key", " \n", "the API Key is empty"),
        ("api_key", "IST.kéy.a.b", "contains characters that no key has"),
        ("api_key", "IST.a\x00.b.c", "contains characters that no key has"),
    ],
)
def test_values_that_cannot_be_used_are_named(field: str, paste: str, problem: str) -> None:
    """The problem is described without repeating the value."""
    problems = "; ".join(_clean(**{field: paste}).problems)
    assert problem in problems
    assert "12345" not in problems


def test_a_key_in_another_format_is_accepted_with_a_warning() -> None:
    """Wix does not document the format of its keys."""
    pasted = _clean(api_key="something-else-entirely")
    assert pasted.problems == ()
    assert pasted.warnings
