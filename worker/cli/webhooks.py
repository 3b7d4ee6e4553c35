"""`refunds webhooks`: where outcomes are sent, and what could not be delivered."""

from __future__ import annotations

import base64
import json
import secrets
import time
import uuid
from dataclasses import replace
from typing import Annotated, Any

import typer

from config.webhooks import SECRET_PREFIX
from worker.app import ledger_from, targets_from
from worker.cli.cells import in_each_cell
from worker.cli.common import WRONG_USAGE, AsJson, close_at_end, explain_errors, fail, settings
from worker.cli.operator import By, OptionalWhy, Why, operator
from worker.cli.output import moment, print_json, print_line, print_table, say
from worker.ledger.refunds import Ledger
from worker.ledger.webhooks import FAILING_AFTER
from worker.webhooks.line import place_of
from worker.webhooks.sending import sender_for
from worker.webhooks.signing import signed_headers
from worker.webhooks.targets import Target

webhooks = typer.Typer(
    no_args_is_help=True,
    help="Webhooks: list, test, pause, resume, replay, secret.",
    epilog="Example: refunds webhooks test shop",
)
_OF_ONE = ("position", "state", "subject", "type", "attempts", "error")
_OF_ALL = ("name", "host", "state", "delivered", "waiting", "dead", "last ok", "last_error")
Name = Annotated[str, typer.Argument(help="Name of the webhook in REFUNDS_WEBHOOKS.")]


def _connect() -> tuple[Ledger, dict[str, Target]]:
    given = settings()
    broker, ledger = ledger_from(given)
    close_at_end(broker.client.close)
    return ledger, {target.name: target for target in targets_from(given)}


def _find(name: str) -> tuple[Ledger, Target]:
    ledger, targets = _connect()
    if name not in targets:
        fail(f"there is no such webhook; REFUNDS_WEBHOOKS has: {', '.join(targets) or 'none'}")
    return ledger, targets[name]


@webhooks.command("list", epilog="Example: refunds webhooks list shop")
@explain_errors
@in_each_cell
def list_(
    name: Annotated[str, typer.Argument(help="Show what waits and what is dead of this one.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show the state of each webhook. With NAME: what could not be delivered to it."""
    if name:
        ledger, target = _find(name)
        rows = _deliveries(ledger, target.name)
        _show("deliveries", rows, _OF_ONE, "Nothing waits, and nothing is dead.", as_json=as_json)
        return
    ledger, targets = _connect()
    rows = [_row(ledger, target) for target in targets.values()]
    _show("webhooks", rows, _OF_ALL, "REFUNDS_WEBHOOKS has no webhook.", as_json=as_json)


def _show(
    what: str, rows: list[dict[str, Any]], columns: tuple[str, ...], empty: str, *, as_json: bool
) -> None:
    if as_json:
        print_json({what: rows})
    else:
        print_table(rows, columns, may_drop=("error", "last_error"), empty=empty)


def _row(ledger: Ledger, target: Target) -> dict[str, Any]:
    standing = ledger.webhooks.standing(target.name)
    waiting, dead = ledger.webhooks.counts(target.name)
    state = "failing" if standing.failures >= FAILING_AFTER else "active"
    if standing.paused_why:
        state = f"paused: {standing.paused_why}"
    return {
        "name": target.name,
        "host": target.host,
        "state": state,
        "types": list(target.types),
        "stores": sorted(target.stores),
        "delivered": standing.delivered,
        "waiting": waiting,
        "dead": dead,
        "cursor": standing.cursor or None,
        "failures": standing.failures,
        "last_ok_ms": standing.last_ok_ms or None,
        "last ok": moment(standing.last_ok_ms, "seconds") if standing.last_ok_ms else "",
        "last_error": standing.last_error or None,
    }


def _deliveries(ledger: Ledger, name: str) -> list[dict[str, Any]]:
    lists = {"waiting": ledger.webhooks.waiting(name), "dead": ledger.webhooks.dead(name)}
    return [
        {
            "position": position,
            "state": state,
            "subject": one.subject,
            "type": one.type,
            "attempts": one.attempts,
            "error": one.error or None,
        }
        for state, found in lists.items()
        for position, one in sorted(found.items(), key=lambda item: place_of(item[0]))
    ]


@webhooks.command("test", epilog="Example: refunds webhooks test shop")
@explain_errors
def send_test(name: Name, as_json: AsJson = False) -> None:
    """Send a signed event `webhook.test` from this machine. It is not repeated."""
    _, target = _find(name)
    event = {
        "specversion": "1.0",
        "type": "webhook.test",
        "source": "wix-refund-worker",
        "id": str(uuid.uuid4()),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "subject": name,
        "datacontenttype": "application/json",
        "data": {"store_id": None},
    }
    body = json.dumps(event).encode()
    headers = signed_headers(f"msg_test_{event['id']}", int(time.time()), body, target.keys)
    sender = sender_for(target)
    close_at_end(sender.close)
    answer = sender.post(headers, body)
    if not answer.is_ok:
        fail(f"{target.host} did not take it: {answer.error}", http_status=answer.status)
    if as_json:
        print_json({"ok": True, "http_status": answer.status})
    else:
        print_line(f"{target.host} took it: HTTP {answer.status}.")


@webhooks.command(epilog="Example: refunds webhooks pause shop --reason 'they ask us to'")
@explain_errors
@in_each_cell
def pause(name: Name, by: By = "", reason: Why = "", as_json: AsJson = False) -> None:
    """Send nothing to a webhook until it is resumed. What happens meanwhile is sent then."""
    who = operator(by, reason, needs_reason=True)
    ledger, _ = _find(name)
    act = who.act("webhooks.pause", name)
    if not ledger.webhooks.act(name, "pause", act, why=f"{who.by}: {who.why}"):
        fail(f"{name} is paused already")
    _done("paused", as_json=as_json)


@webhooks.command(epilog="Example: refunds webhooks resume shop")
@explain_errors
@in_each_cell
def resume(name: Name, by: By = "", reason: OptionalWhy = "", as_json: AsJson = False) -> None:
    """Send to a webhook again, from where it stopped."""
    who = operator(by, reason)
    ledger, _ = _find(name)
    if not ledger.webhooks.act(name, "resume", who.act("webhooks.resume", name)):
        fail(f"{name} is not paused")
    _done("resumed", as_json=as_json)


@webhooks.command(epilog="Example: refunds webhooks replay shop --all")
@explain_errors
@in_each_cell
def replay(
    name: Name,
    position: Annotated[
        list[str] | None, typer.Argument(help="Positions that `refunds webhooks list NAME` shows.")
    ] = None,
    refund: Annotated[str, typer.Option(help="All dead deliveries of this refund.")] = "",
    every: Annotated[bool, typer.Option("--all", help="All dead deliveries.")] = False,
    by: By = "",
    reason: OptionalWhy = "",
    as_json: AsJson = False,
) -> None:
    """Send dead deliveries again, at once and for another three days."""
    if bool(position) + bool(refund) + every != 1:
        fail("give positions, or --refund, or --all", code=WRONG_USAGE)
    who = operator(by, reason)
    ledger, _ = _find(name)
    chosen = {
        place: replace(one, attempts=0, first_ms=0, due_ms=0)
        for place, one in ledger.webhooks.dead(name).items()
        if every or one.subject == refund or place in (position or ())
    }
    act = who.act("webhooks.replay", name, {"dead": sorted(chosen)[:20]})
    count = ledger.webhooks.act(name, "replay", act, deliveries=chosen) if chosen else 0
    if not count:
        fail("there is no such dead delivery")
    _done(f"{count} to be sent again", as_json=as_json)


@webhooks.command(epilog="Example: refunds webhooks secret")
@explain_errors
def secret(as_json: AsJson = False) -> None:
    """Make a secret for REFUNDS_WEBHOOKS, which the receiver needs too."""
    made = SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
    print_line(json.dumps({"secret": made}) if as_json else made)


def _done(word: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"ok": True, "done": word})
    else:
        say(word)
