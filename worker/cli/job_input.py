"""A job from the options of the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from worker.refund.request import InvalidJob, RefundRequest, parse_request


class WrongJobs(ValueError):
    """At least one job is wrong, so none was put on the queue; each line names place and field."""

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def parse_line(text: str) -> dict[str, Any]:
    """Read LINE_ITEM_ID:QUANTITY; a missing or invalid quantity is reported by its field.

    The quantity has no default: without one, the caller may mean one unit or the whole line.
    """
    line_item_id, _, quantity = text.rpartition(":")
    if not line_item_id:
        return {"line_item_id": text}
    return {
        "line_item_id": line_item_id,
        "quantity": int(quantity) if re.fullmatch("[0-9]{1,9}", quantity) else quantity,
    }


def parse_fee(text: str) -> dict[str, str]:
    """Read FEE_ID or FEE_ID:AMOUNT; without an amount, the rest of the fee is refunded."""
    fee_id, _, amount = text.partition(":")
    return {"additional_fee_id": fee_id} | ({"amount": amount} if amount else {})


def from_options(job: Mapping[str, Any]) -> list[RefundRequest]:
    """Check the one job that the options describe.

    Raises:
        WrongJobs: names every wrong field.
    """
    return _checked({"job": job})


def _checked(jobs: Mapping[str, Any]) -> list[RefundRequest]:
    requests: list[RefundRequest] = []
    wrong: list[str] = []
    for place, job in jobs.items():
        try:
            requests.append(parse_request(job))
        except InvalidJob as error:
            wrong.extend(f"{place}: {field}: {text}" for field, text in error.problems.items())
    if wrong:
        raise WrongJobs(*wrong)
    return requests
