"""A job that an older version masked is recognised when it is sent again."""

from __future__ import annotations

from typing import Any

import pytest

from worker.observability.redaction import MASK
from worker.refund.masked import is_masked_form
from worker.refund.request import RefundRequest, parse_request

IDS = {
    "refund_id": "rf-1",
    "store_id": "4b296c48-0000-4000-8000-000000000001",
    "order_id": "67668940-527d-4465-94c6-5475d8c7a412",
}
GIVEN = {
    "reason": "by a@b",
    "requested_by": "desk",
    "metadata": {"checkout_token": "c-81", "note": "to ann@example.org, bob@example.org. Now"},
}
STORED = {
    "reason": "by a@b",
    "requested_by": "desk",
    "metadata": {"checkout_token": MASK, "note": f"to {MASK}, {MASK}. Now"},
}


def _stored(**changed: Any) -> RefundRequest:
    return RefundRequest.model_validate(IDS | STORED | changed)


def test_it_is_the_same_job() -> None:
    """Whatever stands in the place of a mask."""
    assert is_masked_form(_stored(), parse_request(IDS | GIVEN))


@pytest.mark.parametrize(
    "changed",
    [
        {"order_id": "67668940-527d-4465-94c6-5475d8c7a413"},
        {"amount": "0.001", "currency": "KWD"},
        {"restock": True},
        {"reason": "by a@b again"},
        {"reason": ""},
        {"requested_by": "shop"},
        {"metadata": {}},
        {"metadata": {"checkout_token": "c-81"}},
        {"metadata": GIVEN["metadata"] | {"more": "1"}},  # type: ignore[operator]  # a mapping
        {"metadata": {"checkout_token": "c-81", "note": "to ann, bob. Then"}},
        {"metadata": {"checkout_token": "c-81", "note": "for ann, bob. Now"}},
        {"metadata": {"checkout_token": "c-81", "note": "to ann and bob. Now"}},
        {"metadata": {"cart": "c-81", "note": "to ann, bob. Now"}},
    ],
)
def test_another_job_is_not(changed: dict[str, Any]) -> None:
    """Only what is masked may differ."""
    assert not is_masked_form(_stored(), parse_request(IDS | GIVEN | changed))


def test_nothing_may_overlap() -> None:
    """What follows a mask is looked for after it."""
    stored = _stored(metadata={"note": f"ab{MASK}ba"})
    assert not is_masked_form(stored, parse_request(IDS | GIVEN | {"metadata": {"note": "aba"}}))
    assert is_masked_form(stored, parse_request(IDS | GIVEN | {"metadata": {"note": "abba"}}))
