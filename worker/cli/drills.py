"""`refunds simulator key|fault|merchant`: what goes wrong in a drill, in a simulator that runs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Annotated, Any, TypeVar

import typer

from worker.cli.common import AsJson, explain_errors, fail
from worker.cli.output import print_json, say
from worker.simulator.contract.refusals import Json
from worker.simulator.contract.routes import ROUTES
from worker.simulator.remote import NoSimulator, Remote, remote_at
from worker.simulator.script.faults import Kind
from worker.simulator.script.reading import InvalidInput

#: Where `refunds simulator` listens by default.
DEFAULT_URL = "http://127.0.0.1:8091"
#: How often a fault applies that lasts until it is cleared: more than any drill makes calls.
UNTIL_CLEARED = 10**9
#: How long Tab waits for the simulator, and how much it offers.
COMPLETION_S = 1.0
MOST_COMPLETIONS = 50

Command = TypeVar("Command", bound=Callable[..., None])

key = typer.Typer(
    name="key",
    no_args_is_help=True,
    help="Revoke a store's API key, or restore it.",
    epilog="Example: refunds simulator key revoke",
)
fault = typer.Typer(
    name="fault",
    no_args_is_help=True,
    help="Let calls fail, or let all succeed again.",
    epilog="Example: refunds simulator fault add status --status 503 --until-cleared",
)
merchant = typer.Typer(
    name="merchant",
    no_args_is_help=True,
    help="What the merchant does in the dashboard.",
    epilog="Example: refunds simulator merchant cancel 67668940-527d-4465-94c6-5475d8c7a412",
)


def store_ids(incomplete: str) -> list[str]:
    """Return the simulator's stores whose ids begin like this."""
    return _begin_with(incomplete, _look("stores"))


def order_ids(incomplete: str) -> list[str]:
    """Return some of the simulator's orders whose ids begin like this."""
    return _begin_with(incomplete, _look("books").get("orders", ()))


def endpoints(incomplete: str) -> list[str]:
    """Return the endpoints whose names begin like this."""
    return _begin_with(incomplete, (route.endpoint for route in ROUTES))


def _begin_with(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)][:MOST_COMPLETIONS]


def _look(name: str) -> Json:
    """Read from the simulator for Tab; nothing if none answers."""
    try:
        return remote_at(_default_url(), timeout_s=COMPLETION_S).look(name)
    except (InvalidInput, NoSimulator):
        return {}


def _default_url() -> str:
    return os.environ.get("REFUNDS_WIX_BASE_URL") or DEFAULT_URL


Url = Annotated[
    str,
    typer.Option(
        "--url",
        help=f"The simulator's address; by default REFUNDS_WIX_BASE_URL, else {DEFAULT_URL}.",
        show_default=False,
    ),
]
StoreId = Annotated[
    str,
    typer.Argument(
        metavar="SITE_ID",
        autocompletion=store_ids,
        help="May be left out if there is only one.",
        show_default=False,
    ),
]
OrderId = Annotated[
    str, typer.Argument(metavar="ORDER_ID", autocompletion=order_ids, help="Id of the order.")
]


def _explain(command: Command) -> Command:
    """Turn what the simulator refuses into one clear message."""

    @wraps(command)
    def inner(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
        except InvalidInput as error:
            fail(*str(error).split("\n"), code=2)
        except NoSimulator as error:
            fail(str(error))

    return explain_errors(inner)  # type: ignore[return-value]  # wraps keeps the signature


def _done(sentence: str, answer: Json, *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
    else:
        say(sentence)


def _store(remote: Remote, store_id: str) -> str:
    """Return the store that is named, or the only one."""
    stores = remote.look("stores")
    if not store_id and len(stores) != 1:
        raise InvalidInput(f"name one of the stores: {', '.join(stores) or 'there are none'}")
    return store_id or next(iter(stores))


def _set_key(action: str, store_id: str, url: str, *, as_json: bool) -> None:
    remote = remote_at(url or _default_url())
    site_id = _store(remote, store_id)
    answer = remote.change("keys", action=action, site_id=site_id)
    past = {"revoke": "revoked", "restore": "valid again"}[action]
    _done(f"the API key of {site_id} is {past}", answer | {"store_id": site_id}, as_json=as_json)


@key.command(epilog="Example: refunds simulator key revoke 4b296c48-0000-4000-8000-000000000001")
@_explain
def revoke(store_id: StoreId = "", url: Url = "", as_json: AsJson = False) -> None:
    """Revoke a store's API key, as the merchant does. Wix refuses each call that uses it."""
    _set_key("revoke", store_id, url, as_json=as_json)


@key.command(epilog="Example: refunds simulator key restore --json")
@_explain
def restore(store_id: StoreId = "", url: Url = "", as_json: AsJson = False) -> None:
    """Make a revoked key valid again. It stands for the new key that the merchant creates."""
    _set_key("restore", store_id, url, as_json=as_json)


@fault.command(
    "add", epilog="Example: refunds simulator fault add lost_reply --endpoint submit_refund"
)
@_explain
def add_fault(
    kind: Annotated[
        Kind, typer.Argument(help="What happens; worker/simulator/README.md says more.")
    ],
    endpoint: Annotated[
        str, typer.Option(help="Only calls of this endpoint.", autocompletion=endpoints)
    ] = "*",
    order: Annotated[
        str, typer.Option(help="Only calls about this order.", autocompletion=order_ids)
    ] = "*",
    times: Annotated[int, typer.Option(min=1, help="How many calls fail.")] = 1,
    until_cleared: Annotated[
        bool, typer.Option("--until-cleared", help="All calls fail until `fault clear`.")
    ] = False,
    status: Annotated[
        int | None, typer.Option(min=400, max=599, help="The HTTP status of the answer.")
    ] = None,
    code: Annotated[str, typer.Option(help="Wix's code in the body of the answer.")] = "",
    retry_after_s: Annotated[
        int | None, typer.Option(min=0, help="The Retry-After of the answer.")
    ] = None,
    slow_ms: Annotated[int, typer.Option(min=0, help="How long a slow answer takes.")] = 0,
    html: Annotated[bool, typer.Option("--html", help="A page of HTML as the answer.")] = False,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Let the next matching calls fail."""
    given: dict[str, Any] = {"kind": kind, "endpoint": endpoint, "order_id": order, "code": code}
    given |= {"status": status, "retry_after_s": retry_after_s, "slow_ms": slow_ms, "html": html}
    given = {name: value for name, value in given.items() if value}
    given["times"] = UNTIL_CLEARED if until_cleared else times
    answer = remote_at(url or _default_url()).change("faults", faults=[given])
    calls = "all matching calls" if until_cleared else f"the next {times} matching calls"
    _done(f"fault added: {kind}, for {calls}", answer | {"fault": given}, as_json=as_json)


@fault.command("clear", epilog="Example: refunds simulator fault clear --json")
@_explain
def clear_faults(url: Url = "", as_json: AsJson = False) -> None:
    """Let all calls succeed again."""
    answer = remote_at(url or _default_url()).change("faults", clear=True)
    _done(f"faults cleared: {answer['cleared']}", answer, as_json=as_json)


@merchant.command(
    epilog="Example: refunds simulator merchant fulfil 67668940-527d-4465-94c6-5475d8c7a412"
)
@_explain
def fulfil(
    order_id: OrderId,
    quantity: Annotated[
        int | None, typer.Option(min=1, help="Number of units; all by default.")
    ] = None,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Ship the first line of an order."""
    given = {"action": "fulfills", "order_id": order_id, "quantity": quantity}
    answer = remote_at(url or _default_url()).change("merchant", **given)
    _done(f"{order_id}: fulfilled", answer, as_json=as_json)


@merchant.command(
    epilog="Example: refunds simulator merchant cancel 67668940-527d-4465-94c6-5475d8c7a412"
)
@_explain
def cancel(order_id: OrderId, url: Url = "", as_json: AsJson = False) -> None:
    """Cancel an order."""
    answer = remote_at(url or _default_url()).change(
        "merchant", action="cancels", order_id=order_id
    )
    _done(f"{order_id}: cancelled", answer, as_json=as_json)


@merchant.command(
    epilog="Example: refunds simulator merchant refund 67668940-527d-4465-94c6-5475d8c7a412"
    " --amount 10.00"
)
@_explain
def refund(
    order_id: OrderId,
    amount: Annotated[str, typer.Option(help="By default all that is left.")] = "",
    reason: Annotated[str, typer.Option(help="The merchant's note.")] = "",
    external: Annotated[
        bool, typer.Option("--external", help="Paid outside of Wix, and only recorded there.")
    ] = False,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Refund an order."""
    if amount and not re.fullmatch(r"\d+(\.\d+)?", amount):
        fail("--amount takes an amount like 10.00", code=2)
    given = {"order_id": order_id, "amount": amount or None, "reason": reason, "external": external}
    answer = remote_at(url or _default_url()).change("merchant", action="refunds", **given)
    sums = [f"{part['amount']['amount']}" for part in answer["refund"]["transactions"]]
    _done(f"{order_id}: refunded {' + '.join(sums)}", answer, as_json=as_json)
