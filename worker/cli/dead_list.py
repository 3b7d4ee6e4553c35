"""`refunds dead list`: what needs a person, one by one or in groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from worker.cli import filters
from worker.cli.all_lists import connect_all, list_all, search_for
from worker.cli.common import AsJson, Limit, explain_errors, fail
from worker.cli.output import moment, print_json, print_line, print_table, say
from worker.ledger.refunds import Ledger
from worker.ledger.search import Search
from worker.operations import listing
from worker.operations.durations import amounts
from worker.operations.joined_lists import join_groups
from worker.operations.searching import Page, Sort
from worker.operations.selection import Selection
from worker.operations.status_lines import stake
from worker.queue.broker import Broker

NOTHING = Page(matches=[], total=0, amounts={}, unknown=0, after="")
EXAMPLE = "Example: refunds dead list --reason-code attempts_used_up --since 24h --by store"


class By(StrEnum):
    """What dead letters are grouped by."""

    REASON = "reason"
    CODE = "code"
    STORE = "store"
    TRANSITION = "transition"


class Kind(StrEnum):
    """What a dead letter was."""

    REFUND = "refund"
    MESSAGE = "message"


@explain_errors
@filters.selecting
def dead_list(
    selection: Selection,
    *,
    kind: Annotated[
        Kind | None,
        typer.Option(help="Only refunds, or only messages that did not become refunds."),
    ] = None,
    by: Annotated[By | None, typer.Option("--by", help="Count them in groups.")] = None,
    sort: Annotated[Sort, typer.Option(help="The order.")] = "newest",
    limit: Limit = 100,
    all_: filters.All = False,
    after: filters.After = "",
    as_json: AsJson = False,
) -> None:
    """List what needs a person. Refunds first, then messages that did not become refunds."""
    check_after(after)
    opened = connect_all()
    if by:
        _print_groups([search_for(one) for one, _ in opened.values()], selection, by, as_json)
        return
    rows, told, page = _rows(
        opened, selection, kind, sort=sort, after=after, limit=None if all_ else limit
    )
    if as_json:
        print_json({"dead": rows, **told})
        return
    _print_rows(rows, selection)
    if page.total:
        print_line()
        print_line(totals_line("refunds", page))


def check_after(after: str) -> None:
    """Refuse what is no cursor."""
    if after and not after.partition(":")[0].isdecimal():
        fail("--after takes the cursor that the page before names, like 1700000000000:rf-1", code=2)


def totals_line(what: str, page: Page) -> str:
    """Say how much of how much is shown, and how to see the rest."""
    shown = len(page.matches)
    line = f"Showing {shown:,} of {page.total:,} {what}"
    if page.amounts is not None:
        line += stake({"amounts": page.amounts, "amount_unknown": page.unknown})
    if shown < page.total:
        line += "; --limit N or --all shows more"
    return f"{line}; the next page: --after {page.after}" if page.after else line


def _rows(
    opened: Mapping[str, tuple[Broker, Ledger]],
    selection: Selection,
    kind: Kind | None,
    *,
    sort: Sort,
    after: str,
    limit: int | None,
) -> tuple[list[dict[str, Any]], dict[str, Any], Page]:
    """Return the rows, the totals for JSON, and the page of refunds."""
    found = listing.Listing(
        rows=[], page=Page(matches=[], total=0, amounts={}, unknown=0, after="")
    )
    if kind != Kind.MESSAGE:
        found = list_all(opened, selection, dead=True, sort=sort, after=after, limit=limit)
    every = (letter for broker, _ in opened.values() for letter in search_for(broker).letters())
    letters = [] if kind == Kind.REFUND else listing.letter_rows(every, selection)
    room = None if limit is None else max(0, limit - len(found.rows))
    shown = [] if found.page.after else letters[:room]
    return [*found.rows, *shown], found.totals() | {"messages": len(letters)}, found.page


def _print_rows(rows: list[dict[str, Any]], selection: Selection) -> None:
    for row in rows:
        row["died"] = moment(row["died_at_ms"], "seconds") if row["died_at_ms"] else ""
        row["code"] = row.get("wix_code") or ""
    columns = ["id", "kind", "refund_id", "died", "amount", "currency", "reason", "code"]
    columns += ["store_id", "order_id"]
    if all(row["kind"] == "refund" for row in rows):
        columns.remove("kind")
    if all(row["refund_id"] == row["id"] for row in rows):
        columns.remove("refund_id")
    empty = "No dead letters." if selection.is_empty else "No dead letters match."
    may_drop = ("code", "store_id", "order_id", "kind", "died", "currency", "amount")
    print_table(rows, columns, may_drop=may_drop, empty=empty)
    _print_remedies(rows)


def _print_remedies(rows: Iterable[Mapping[str, Any]]) -> None:
    """Say once for each reason what it means and what to do."""
    said: dict[str, str] = {}
    for row in rows:
        text = f"{row.get('sentence') or ''} {row.get('remedy') or ''}".strip()
        said.setdefault(f"{row['reason']}: {text}", "")
    if said:
        print_line()
    for line in said:
        print_line(line)


def _print_groups(
    searches: Sequence[Search],
    selection: Selection,
    by: By,
    as_json: bool,
) -> None:
    of_each = [listing.groups(search, selection, by.value) for search in searches]
    rows = of_each[0] if len(of_each) == 1 else join_groups(of_each, by.value)
    messages = sum(_message_count(search, selection) for search in searches)
    if as_json:
        print_json({"by": by.value, "groups": rows, "messages": messages})
        return
    for row in rows:
        row["amount"] = amounts(row["amounts"])
        row["unknown"] = row["amount_unknown"] or ""
        for end in ("oldest", "newest"):
            row[end] = moment(row[f"{end}_at_ms"], "seconds") if row[f"{end}_at_ms"] else ""
        row[by.value] = row[by.value] or "(none)"
    columns = [by.value, "count", "amount", "unknown", "oldest", "newest", "example"]
    empty = "No dead letters." if selection.is_empty else "No dead letters match."
    print_table(rows, columns, may_drop=("unknown", "newest", "example"), empty=empty)
    if by == By.REASON:
        _print_remedies(rows)
    if messages:
        say(f"{messages:,} messages did not become refunds: refunds dead list --kind message")


def _message_count(search: Search, selection: Selection) -> int:
    return len(listing.letter_rows(search.letters(), selection))
