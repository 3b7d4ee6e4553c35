"""What `refunds status` and `refunds watch` say, as lines: a label and a text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from worker.cells.names import FRONT
from worker.operations.durations import ago, amounts, size, span
from worker.operations.settling import settling_lines

#: How many workers, stores and reasons are listed; `--json` has more.
LISTED = 8

Line = tuple[str, str]


def status_lines(
    told: Mapping[str, Any], listed: int = LISTED, *, cell: str = FRONT
) -> Iterator[Line]:
    """Yield the lines of one status (worker.operations.status): that of *cell*, or of all cells."""
    now_ms = told["at_ms"]
    yield from _workers(told["workers"], listed)
    if outage := told["outage"]:
        yield (
            "outage",
            (
                f"Wix is down for most stores for {ago(outage['since_ms'], now_ms)};"
                f" refunds start for {outage['starting']:.0%} of the stores"
            ),
        )
    for number, text in enumerate(settling_lines(told, listed, cell)):
        yield ("", f"  {text}") if number else ("settling", text)
    yield "intake", _queue(told["intake"], now_ms)
    yield from _refunds(told["refunds"], now_ms)
    yield from _approvals(told["approvals"], now_ms, listed)
    yield from _stores(told["stores"], now_ms, listed)
    yield from _dead(told["dead"], now_ms, listed)
    yield "today (UTC)", _today(told["today"])
    keeping = told["keeping"]
    if keeping["forgotten"] or keeping["problem"]:
        problem = f"; {keeping['problem']}" if keeping["problem"] else ""
        yield "archive", f"{keeping['forgotten']:,} refunds that finished long ago{problem}"
    yield "Wix", wix_line(told["wix"])
    for group in told["consumers"][:listed]:
        yield (
            f"group {group['group']}",
            (
                f"{group['lag']:,} events not read, {group['pending']:,} not acknowledged,"
                f" {group['consumers']:,} consumers"
            ),
        )
    yield from _webhooks(told["webhooks"][:listed])
    redis = told["redis"]
    fill = f" of {size(redis['max_bytes'])} ({redis['fill']:.0%})" if redis["max_bytes"] else ""
    yield "Redis", f"{size(redis['used_bytes'])}{fill}; {redis['persistence']}"


def _webhooks(hooks: Iterable[Mapping[str, Any]]) -> Iterator[Line]:
    for hook in hooks:
        text = f"{hook['state']}; {hook['waiting']:,} deliveries wait, {hook['dead']:,} are dead"
        yield f"webhook {hook['name']}", text


def _workers(workers: list[Mapping[str, Any]], listed: int) -> Iterator[Line]:
    alive = [worker for worker in workers if worker["state"] == "alive"]
    threads, busy = (sum(w[name] or 0 for w in alive) for name in ("threads", "busy"))
    text = f"{len(alive)} alive, {len(workers) - len(alive)} silent"
    yield "workers", f"{text}; {busy} of {threads} threads busy" if threads else text
    for worker in workers[:listed]:
        where = (
            f"{worker['host']}, process {worker['pid']}" if worker["host"] else "an older version"
        )
        parts = (
            worker["worker_id"],
            worker["state"],
            worker["version"] or "",
            f"{worker['busy'] or 0} of {worker['threads']} busy" if worker["threads"] else "",
            f"last beat {span(worker['silent_ms'])} ago",
            where,
        )
        yield "", "  " + ", ".join(part for part in parts if part)
    yield from _more(len(workers) - listed)


def _queue(queue: Mapping[str, Any], now_ms: int) -> str:
    waited = ago(queue["since_ms"], now_ms)
    return f"{queue['jobs']:,} jobs" + (f", the oldest for {waited}" if waited else "")


def _refunds(refunds: Mapping[str, Any], now_ms: int) -> Iterator[Line]:
    oldest = ago(refunds["oldest_at_ms"], now_ms)
    yield (
        "refunds",
        f"{refunds['unfinished']:,} unfinished" + (f", the oldest for {oldest}" if oldest else ""),
    )
    later = f"{refunds['later']:,} later"
    if refunds["next_in_ms"] is not None:
        later += f" (the next in {span(refunds['next_in_ms'])})"
    yield (
        "",
        (
            f"  {refunds['in_flight']:,} in flight, {refunds['waiting_for_turn']:,} wait for their"
            f" turn, {later}, {refunds['on_hold']:,} on hold"
        ),
    )
    since = ago(refunds["failing_since_ms"], now_ms)
    retrying = f"{refunds['retrying']:,} in retry" + (f", the first for {since}" if since else "")
    yield "", f"  {retrying}; {refunds['at_provider']:,} at the payment provider"
    states = ", ".join(f"{state} {count:,}" for state, count in refunds["states"].items())
    if states:
        yield "", f"  {states}"


def _approvals(approvals: Mapping[str, Any], now_ms: int, listed: int) -> Iterator[Line]:
    """Say what the money guards hold, if they hold anything."""
    if not approvals["count"]:
        return
    yield "approvals", f"{approvals['count']:,} wait{stake(approvals)}"
    for one in approvals["refunds"][:listed]:
        given, needed = one["approvals"], one["approvals_needed"]
        so_far = f"{given} of {needed} approvals, " if needed > 1 else ""
        waited = f"{so_far}for {ago(one['since_ms'], now_ms)}"
        yield "", f"  {one['refund_id']} {waited}: {one['why']}"
    yield from _more(approvals["count"] - listed)


def _stores(stores: Mapping[str, Any], now_ms: int, listed: int) -> Iterator[Line]:
    yield (
        "stores",
        (
            f"{stores['suspended_count']:,} suspended, {stores['paced_count']:,} over their rate or"
            f" pausing, {stores['failing_count']:,} failing"
        ),
    )
    for store in stores["paused"][:listed]:
        which = "all stores" if store["store_id"] == "*" else store["store_id"]
        yield "", f"  {which} paused by {store.get('by') or 'somebody'}: {store.get('why') or ''}"
    for store in stores["suspended"][:listed]:
        why = " ".join(part for part in (store["reason"], store["wix_code"]) if part)
        yield "", f"  {store['store_id']} suspended for {ago(store['since_ms'], now_ms)}: {why}"
    yield from _more(stores["suspended_count"] - listed)
    for store in stores["failing"][:listed]:
        yield (
            "",
            (
                f"  {store['store_id']} failing for {ago(store['since_ms'], now_ms)},"
                f" {store['refunds']:,} refunds: {store['last_error'] or ''}"
            ),
        )
    yield from _more(stores["failing_count"] - listed)


def _dead(dead: Mapping[str, Any], now_ms: int, listed: int) -> Iterator[Line]:
    text = f"{dead['refunds']:,} refunds, {dead['messages']:,} messages"
    since = ago(dead["since_ms"], now_ms)
    yield "dead letters", text + (f", the oldest for {since}" if since else "")
    for group in dead["by_reason"][:listed]:
        yield "", f"  {group['reason'] or '(none)'}: {group['count']:,}{stake(group)}"
    yield from _more(len(dead["by_reason"]) - listed)


def stake(group: Mapping[str, Any]) -> str:
    """Return what is at stake in a group, in brackets."""
    parts = [amounts(group["amounts"])] if group["amounts"] else []
    if group["amount_unknown"]:
        parts.append(f"{group['amount_unknown']:,} of unknown amount")
    return f" ({', '.join(parts)})" if parts else ""


def _today(today: Mapping[str, Any]) -> str:
    counts = [
        f"{name} {today[name]:,}"
        for name in ("accepted", "refunded", "cancelled", "voided", "rejected", "dead")
        if today[name]
    ]
    moved = amounts(today["refunded_amounts"])
    return (", ".join(counts) or "nothing yet") + (f"; refunded {moved}" if moved else "")


def wix_line(wix: Mapping[str, Any]) -> str:
    """Return the mix of results and the latency of the calls."""
    if not wix["calls"]:
        return f"no calls in {len(wix['minutes'])} min"
    mix = ", ".join(f"{count:,} x {result}" for result, count in wix["results"].items())
    latency = f"mean {wix['mean_ms']:,} ms"
    if wix["p95_ms"]:
        latency += f", half within {wix['p50_ms']:,}, 95% within {wix['p95_ms']:,} ms"
    return f"{mix} in {len(wix['minutes'])} min; {latency}"


def need_lines(needs: Iterable[Mapping[str, str]]) -> Iterator[str]:
    """Yield what needs a person, with the next command."""
    for need in needs:
        yield f"{need['text']}  ->  {need['command']}"


def _more(count: int) -> Iterator[Line]:
    if count > 0:
        yield "", f"  and {count:,} more"
