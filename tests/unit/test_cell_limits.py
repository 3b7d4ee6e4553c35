"""The share that each cell has of a limit for all stores."""

from __future__ import annotations

import pytest

from worker.cells.settings import share


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("100 refunds, 1000 USD", "25 refunds, 250.0000 USD"),
        ("3 refunds", "1 refunds"),
        # Nothing passes without an approval, with cells, too.
        ("0 refunds", "0 refunds"),
        ("0 USD", "0.0000 USD"),
        (None, None),
    ],
)
def test_a_share_is_rounded_down_but_one_refund_may_pass(
    limit: str | None, expected: str | None
) -> None:
    """Unless the limit itself lets none pass."""
    assert share(limit, 4) == expected
