"""`refunds stores observe`: whether upstream is told what a merchant does."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.cells import home_of_store
from worker.cli.common import AsJson, connect_acts, explain_errors, fail, named
from worker.cli.completion import store_ids
from worker.cli.operator import By, OptionalWhy, operator
from worker.cli.output import print_json, say
from worker.cli.store_desk import open_desk
from worker.operations.acts.observing import observe as set_observed

EXAMPLE = "Example: refunds stores observe SITE_ID; to end it: refunds stores observe SITE_ID --off"

ON = "from now on upstream is told what the merchant refunds and cancels"
OFF = "upstream is not told any more what the merchant refunds and cancels"


@explain_errors
@home_of_store
def observe(
    store_id: Annotated[
        str,
        typer.Argument(metavar="SITE_ID", autocompletion=store_ids, help="Site ID of the store."),
    ],
    off: Annotated[bool, typer.Option("--off", help="End it.")] = False,
    by: By = "",
    reason: OptionalWhy = "",
    as_json: AsJson = False,
) -> None:
    """Tell upstream what the merchant refunds and cancels.

    From now on, as `refund.observed` and `order.cancelled_by_merchant`. Nothing is changed at Wix.
    """
    desk, store = open_desk(), named(store_id).lower()
    if not off and not desk.knows(store):
        fail(f"there is no store {store}; `refunds stores list` shows all stores", store_id=store)
    if not set_observed(connect_acts(), store, is_on=not off, operator=operator(by, reason)):
        fail(f"{store} is {'not ' if off else ''}observed already", store_id=store)
    if as_json:
        print_json({"ok": True, "store_id": store, "observed": not off})
    say(f"{store}: {OFF if off else ON}")
