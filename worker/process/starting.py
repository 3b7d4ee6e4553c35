"""What a worker does before it works: wait for Redis, check the installation, and join it."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import redis
from dramatiq.errors import ConnectionClosed

from worker.app import App, membership_from
from worker.ledger.connection import redis_client
from worker.observability.events import log_event
from worker.operations.doctor import findings_of
from worker.operations.finding import Finding
from worker.operations.installation import Membership
from worker.operations.vault_check import vault_finding
from worker.process.children import OTHER_LEDGER, REFUSED
from worker.queue.server_errors import explain, is_permanent

#: How long Redis may take for its first answer, and the longest pause between two attempts.
FIRST_ANSWER_S, MAX_PAUSE_S = 2.0, 5.0
#: The first pause.
POLL_S = 0.5
#: Errors of the connection; the server may be back in a moment.
_PASSING = (redis.ConnectionError, redis.TimeoutError, ConnectionClosed)


def prepare(app: App, stop: threading.Event) -> Membership | int:
    """Wait until the worker may start; returns the exit code if it must not, or was stopped."""
    while wait_for_redis(app, stop):
        if stop.is_set():
            return 0
        try:
            findings = findings_of(
                app.broker.client,
                app.settings.redis_wait_replicas,
                namespace=app.settings.namespace,
            )
            if not is_fit(findings):
                return REFUSED
            membership = membership_from(app.settings, app.broker.client)
            return join(app, membership) or membership
        except (redis.RedisError, ConnectionClosed) as error:
            if is_permanent(error) or not isinstance(error, _PASSING):
                log_event("doctor.refused", check="reachable", text=explain(error))
                return REFUSED
            log_event("worker.redis_lost", error=explain(error))
            stop.wait(POLL_S)
    return REFUSED


def wait_for_redis(app: App, stop: threading.Event) -> bool:
    """Wait until Redis answers or *stop* is set; returns False if waiting cannot help.

    This uses a client of its own, because the app's client retries for 20 s before it fails.
    """
    url = app.settings.redis_url.get_secret_value()
    namespace = app.settings.namespace
    client = redis_client(url, namespace=namespace, tries=1, timeout_s=FIRST_ANSWER_S)
    pause_s = POLL_S
    with client:
        while not stop.is_set():
            try:
                client.ping()
                app.scheduler.beat()
                return True
            except (redis.RedisError, ConnectionClosed) as error:
                if is_permanent(error):
                    log_event("doctor.refused", check="reachable", text=explain(error))
                    return False
                log_event("worker.redis_lost", error=explain(error))
            stop.wait(pause_s)
            pause_s = min(2 * pause_s, MAX_PAUSE_S)
    return True


def join(app: App, membership: Membership) -> int:
    """Let each script name the installation; returns the exit code if the worker must not start."""
    # A wrong vault key is refused now, not at the first refund.
    if not is_fit([vault_finding(app.keyring, app.stores)]):
        return REFUSED
    joined = membership.join()
    if joined.is_new:
        log_event("worker.installed", installation=joined.installation)
    app.ledger.installation = joined.installation
    if not is_fit(joined.findings):
        return OTHER_LEDGER
    if app.routes:
        app.routes.grow()
    return 0


def is_fit(findings: Iterable[Finding]) -> bool:
    """Log what the checks of `refunds doctor` found; returns whether none of it is refused."""
    for finding in findings:
        if finding.level == "refused":
            log_event("doctor.refused", check=finding.check, text=finding.text)
        elif finding.level == "warning":
            log_event("doctor.warning", check=finding.check, text=finding.text)
    return all(finding.level != "refused" for finding in findings)
