"""An invalid job is refused with an explanation for each field, without its values."""

from __future__ import annotations

from typing import Any

import pytest

from worker.refund.request import InvalidJob, parse_request

RIGHT = {
    "refund_id": "rf-1",
    "store_id": "4b296c48-0000-4000-8000-000000000001",
    "order_id": "67668940-527d-4465-94c6-5475d8c7a412",
}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"amount": "1,50", "currency": "EUR"}, "amount: must be a decimal in quotes"),
        ({"amount": 12.5, "currency": "EUR"}, 'like "12.50"'),
        ({"amount": "0", "currency": "EUR"}, "amount: must be more than 0"),
        ({"shipping": "1.23456", "currency": "EUR"}, "shipping: must be a decimal"),
        ({"amount": "1.50"}, "job: currency is required with any amount"),
        ({"amount": "1.50", "currency": "eur"}, "currency: must be three capital letters"),
        ({"store_id": "my-canary"}, "store_id: must be a Wix id, like 4b296c48-"),
        ({"order_id": "x" * 99}, "order_id: must be a Wix id, like 4b296c48-"),
        ({"refund_id": "-canary"}, "refund_id: must be 1 to 100 letters, digits and . _ : -"),
        ({"lines": [{"line_item_id": "l1"}]}, "lines.0.quantity: is required"),
        ({"lines": [{"line_item_id": "l1", "quantity": 0}]}, "lines.0.quantity: must be a whole"),
        ({"manual_payments": "canary"}, "manual_payments: must be escalate or record"),
        ({"restock": "canary"}, "restock: must be true or false"),
        ({"metadata": {"amount": 5}}, "metadata.amount: must be text"),
        ({"colour": "canary"}, "colour: there is no such field"),
    ],
)
def test_an_invalid_field_is_explained(wrong: dict[str, Any], said: str) -> None:
    """The message says what the field accepts; it never contains the value or a pattern."""
    with pytest.raises(InvalidJob) as caught:
        parse_request(RIGHT | wrong)
    text = str(caught.value)
    assert said in text
    assert "canary" not in text
    assert "pattern" not in text
