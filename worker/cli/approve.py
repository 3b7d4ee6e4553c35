"""`refunds approve`: let go on what the money guards hold, or call it off."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.bulk import do
from worker.cli.cells import in_cells_of_chosen
from worker.cli.choosing import Chosen, chooses
from worker.cli.common import AsJson, connect_acts, explain_errors
from worker.cli.operator import By, Why, operator
from worker.operations.acts import approvals

EXAMPLE = 'Example: refunds approve rf-2024-000123 --by ann --reason "checked with the merchant"'


@explain_errors
@chooses
@in_cells_of_chosen
def approve(
    chosen: Chosen,
    reject: Annotated[
        bool, typer.Option("--reject", help="Call them off instead; upstream is told.")
    ] = False,
    by: By = "",
    reason: Why = "",
    as_json: AsJson = False,
) -> None:
    """Approve or reject refunds that would exceed a money guard.

    Not by whoever requested the refund; above the second limit by two different people.
    What waits: refunds list --reason-code needs_approval
    """
    who, acts = operator(by, reason, needs_reason=True), connect_acts()
    act = approvals.reject if reject else approvals.approve
    do(
        "approve.reject" if reject else "approve",
        chosen,
        who,
        lambda each: act(acts, each, operator=who),
        done="rejected" if reject else "approved",
        as_json=as_json,
    )
