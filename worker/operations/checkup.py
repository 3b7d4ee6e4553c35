"""The whole of `refunds doctor`: beside the server, what depends on it and runs on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import redis

from config.settings import Settings
from worker.ledger.records import PAGE
from worker.ledger.refunds import Ledger
from worker.operations.finding import Finding
from worker.operations.trimming import WEBHOOK, reader_name
from worker.wix.reach import Reached
from worker.wix.status_page import STATUS_PAGE, Told

#: The part of `maxmemory` above which somebody should act.
MOST_FILL = 0.8
#: With fewer refunds, what the server uses is mostly its own, and says nothing about a refund.
FEWEST_TO_DIVIDE_BY = 1_000
#: The leader ticks several times a second; after this time it has stopped.
LATE_MS = 15_000
#: Reconcile runs every few seconds, by REFUNDS_RECONCILE_EVERY_MS.
ROUNDS = 6
#: The end of the names of Wix's own servers.
WIX_HOSTS = (".wixapis.com", ".wix.com")
#: Variables that other programs take for a proxy.
PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def settings_findings(
    unknown: Mapping[str, str], environment: Mapping[str, str]
) -> Iterator[Finding]:
    """Check what the environment says."""
    for name, nearest in unknown.items():
        todo = f"did you mean {nearest}?" if nearest else "remove it"
        yield Finding("settings", "warning", f"{name} is not a known setting", todo)
    if not unknown:
        yield Finding("settings", "ok", "all settings are known and valid")
    proxies = [name for name in PROXY_VARIABLES if environment.get(name)]
    if proxies and not environment.get("REFUNDS_WIX_PROXY"):
        text = f"{', '.join(proxies)} is set, but the worker ignores it"
        todo = "set REFUNDS_WIX_PROXY, or open the way to Wix in the firewall"
        yield Finding("proxy", "warning", text, todo)


def server_findings(client: redis.Redis, told: Mapping[str, Any]) -> Iterator[Finding]:
    """Check fill, growth and rights."""
    used, most = told["redis"]["used_bytes"], told["redis"]["max_bytes"]
    accepted, daily = sum(told["refunds"]["states"].values()), told["today"]["accepted"]
    each = used // accepted if accepted >= FEWEST_TO_DIVIDE_BY else 0
    text = f"{used / 1e6:.1f} MB used"
    text += f", {each / 1e3:.1f} kB for each of {accepted:,} refunds" if each else ""
    if not most:
        yield Finding("fill", "ok", f"{text}; maxmemory is not set, so the machine is the limit")
    elif used > MOST_FILL * most:
        todo = "raise maxmemory, or give the server more memory: writes fail when it is full"
        yield Finding("fill", "warning", f"{text}, {used / most:.0%} of maxmemory", todo)
    else:
        left = (most - used) // max(1, each * daily)
        grows = f"; full in about {left:,} days like today" if each and daily else ""
        yield Finding("fill", "ok", f"{text}, {used / most:.0%} of maxmemory{grows}")
    yield from _rights(client)


def _rights(client: redis.Redis) -> Iterator[Finding]:
    try:
        user: Any = client.acl_whoami()
    except redis.ResponseError:
        return  # not every server shows it
    if str(user) == "default":
        text = "the worker is Redis's default user, who may do everything"
        todo = "give each role a user of its own (worker/operations/README.md)"
        yield Finding("rights", "warning", text, todo)
    else:
        yield Finding("rights", "ok", f"the user is {user}")


def worker_findings(told: Mapping[str, Any], settings: Settings) -> Iterator[Finding]:
    """Check that workers live, have one version, and that one leads."""
    alive = [worker for worker in told["workers"] if worker["state"] == "alive"]
    silent = len(told["workers"]) - len(alive)
    if not alive:
        todo = "start it: python -m worker"
        yield Finding("workers", "warning", "no worker is alive", todo)
        return
    text = f"{len(alive)} alive" + (f", {silent} silent in the last hour" if silent else "")
    yield Finding("workers", "ok", text)
    versions = Counter(str(worker["version"] or "before 0.1.0") for worker in alive)
    if len(versions) > 1:
        todo = "finish the upgrade: stop the older workers soon"
        each = ", ".join(f"{count} of {name}" for name, count in sorted(versions.items()))
        yield Finding("versions", "warning", f"workers: {each}", todo)
    else:
        yield Finding("versions", "ok", f"all workers are {next(iter(versions))}")
    yield _in_time("scheduler", told["scheduler"]["ticked_ms"], LATE_MS)
    late_ms = ROUNDS * settings.reconcile_every_ms + settings.worker_dead_after_ms
    yield _in_time("reconcile", told["scheduler"]["reconciled_ms"], late_ms)


def _in_time(check: str, silent_ms: int | None, late_ms: int) -> Finding:
    if silent_ms is None:
        return Finding(check, "warning", "it has not run yet", "look again in a few seconds")
    text = f"it ran {silent_ms / 1000:.1f} s ago"
    if silent_ms > late_ms:
        todo = "look for worker.bug or worker.redis_lost in the log of the workers; restart them"
        return Finding(check, "warning", text, todo)
    return Finding(check, "ok", text)


def queue_findings(ledger: Ledger, told: Mapping[str, Any]) -> Iterator[Finding]:
    """Check the queue, and the first refunds of each state: is each in exactly one place?"""
    intake, refunds = told["intake"], told["refunds"]
    text = f"{intake['jobs']:,} jobs wait, {refunds['unfinished']:,} refunds are unfinished"
    if refunds["overdue"]:
        todo = "is a worker alive, and does one lead?"
        yield Finding("queue", "warning", f"{text}, {refunds['overdue']:,} are overdue", todo)
    else:
        yield Finding("queue", "ok", text)
    ids = list(ledger.first_unfinished(PAGE))
    lost = ledger.misplaced(ids, repair=False)
    if lost:
        todo = "refunds audit; then refunds audit --repair"
        text = f"{len(lost)} of {len(ids)} unfinished refunds are not in exactly one place"
        yield Finding("ledger", "warning", f"{text}, for example {lost[0][0]}", todo)
    else:
        yield Finding("ledger", "ok", f"{len(ids)} unfinished refunds looked at, each in one place")


def outcomes_findings(told: Mapping[str, Any], ns: str) -> Iterator[Finding]:
    """Check that upstream's consumer groups keep up: old outcomes stay until they do."""
    outcomes = told["outcomes"]
    text = f"{outcomes['count']:,} outcomes in the stream"
    for reader, since_ms in outcomes["unread"].items():
        days = (told["at_ms"] - since_ms) // 86_400_000
        behind = f"{text}; {reader_name(reader)} has not processed those of {days} days ago"
        todo = f"let it read and acknowledge them, or: XGROUP DESTROY {ns}:outcomes {reader}"
        if reader.startswith(WEBHOOK):
            todo = f"refunds webhooks list {reader.removeprefix(WEBHOOK)}"
        yield Finding("outcomes", "warning", behind, todo)
    if not outcomes["unread"]:
        yield Finding("outcomes", "ok", text)


def wix_finding(look: Callable[[], Reached]) -> Finding:
    """Check that Wix answers."""
    reached = look()
    if reached.stage == "ok":
        return Finding("wix", "ok", reached.text)
    text = f"{reached.stage} failed: {reached.text}"
    return Finding("wix", "failed", text, "the worker cannot refund anything until this works")


def status_page_finding(base_url: str, look: Callable[[], Told]) -> Iterator[Finding]:
    """Check Wix's status page; not if the worker calls a simulator."""
    host = urlsplit(base_url).hostname or ""
    if not f".{host}".endswith(WIX_HOSTS):
        return
    told = look()
    if not told.is_read:
        yield Finding("status page", "note", told.text)
    elif told.troubles:
        todo = f"wait; the worker tries again by itself. Details: {STATUS_PAGE}"
        yield Finding("status page", "warning", f"{told.text}; {'; '.join(told.troubles)}", todo)
    else:
        yield Finding("status page", "ok", told.text)
