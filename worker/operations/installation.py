"""Is this the ledger that the worker has belonged to so far? Compare it with what we remember."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import redis

from config.settings import Settings
from worker.cells.names import front_of
from worker.cells.recorded import RecordedCell
from worker.ledger.audit_log import Act, Operator
from worker.ledger.installation import (
    Installation,
    count_elsewhere,
    count_unfinished,
    find_installation,
    install,
)
from worker.ledger.memory import Damaged, Memory, Place, place_of
from worker.operations.finding import Finding
from worker.operations.settings_log import note_settings

WHAT_TO_DO = (
    "If REFUNDS_REDIS_URL or REFUNDS_NAMESPACE is wrong, correct it; if the server lost its data,"
    " restore the backup (worker/ledger/README.md); to go on with this ledger as it is, run"
    " `refunds doctor --adopt` with the worker's settings"
)
#: Number of other ledgers of this machine that are named, those of the same server first.
NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Joined:
    """What a worker found when it started, or what an adoption did."""

    findings: tuple[Finding, ...] = ()
    installation: str = ""
    """The id; "" if the worker must not start, or if there was nothing to adopt."""
    is_new: bool = False


class Membership:
    """One ledger, and what the settings and this machine know about it.

    Its methods raise redis.RedisError if the server does not answer.
    """

    def __init__(
        self,
        client: redis.Redis,
        settings: Settings,
        memory: Memory,
        recorded: RecordedCell | None = None,
    ) -> None:
        self._redis = client
        self._settings = settings
        self._memory = memory
        #: What the front knows of a cell; None for the front, and where there are no cells.
        self._recorded = recorded
        self.place = place_of(client, settings.namespace)

    def findings(self) -> list[Finding]:
        """Check, and change nothing."""
        found = self._find()
        return [self._identity(found), *self._cutoff(found)]

    def join(self, *, is_worker: bool = True) -> Joined:
        """Check as a worker that starts; if all is well, record and remember the installation.

        Only a worker's settings are compared with those of the last one: other programs have
        tokens that workers lack, and would take turns with them in the audit log.
        """
        findings = self.findings()
        if any(finding.level == "refused" for finding in findings):
            return Joined(findings=tuple(findings))
        new_id = str(uuid.uuid4())
        known = self._install(new_id).id
        if self._recorded:
            self._recorded.record(known)
        if is_worker:
            note_settings(self._redis, self._settings)
        is_new = known == new_id
        if is_new and not any(self._others()):
            findings = []
        return Joined(
            findings=(*findings, *self._remember(known)), installation=known, is_new=is_new
        )

    def adopt(self, operator: Operator) -> Joined:
        """Accept the present ledger in the place of the one that is missed, on all machines."""
        found = self._find()
        if found and not self._refusal(found):
            return Joined()
        new_id, replaces = str(uuid.uuid4()), self._wanted()[0]
        after = {"installation": found.id if found else new_id, "replaces": replaces}
        act = operator.act("doctor.adopt", "", {"installation": found and found.id}, after)
        known = self._install(new_id, adopt=True, replaces=replaces, act=act).id
        if self._recorded:
            self._recorded.record(known, replace=True)
        return Joined(
            findings=tuple(self._remember(known)), installation=known, is_new=found is None
        )

    def lost(self, installation: str) -> str:
        """Say what happened to the ledger of a worker that had joined this installation."""
        try:
            if too_few := self._too_few_cells(found := self._find()):
                return too_few
            return self._other(found, installation, "this worker started with")
        except redis.RedisError:
            return self._other(None, installation, "this worker started with")

    def _find(self) -> Installation | None:
        return find_installation(self._redis, self._settings.namespace)

    def _install(
        self, new_id: str, *, adopt: bool = False, replaces: str = "", act: Act | None = None
    ) -> Installation:
        # Before the ledger has an id: if we are killed between the two, the next one does it.
        if self._recorded and not self._find():
            self._recorded.take_over_pause(self._redis)
        return install(
            self._redis,
            self._settings.namespace,
            new_id=new_id,
            cutoff=self._settings.cutoff,
            adopt=adopt,
            replaces=replaces,
            act=act,
        )

    def _wanted(self) -> tuple[str, str]:
        """Return the id that the ledger should have, if one is known, and who knows it."""
        if self._settings.installation:
            return self._settings.installation, "REFUNDS_INSTALLATION names"
        if self._recorded and (known := self._recorded.known()):
            return known, "the front knows"
        try:
            return self._memory.recall(self.place), "this machine remembers"
        except Damaged:
            return "", ""

    def _identity(self, found: Installation | None) -> Finding:
        if refusal := self._refusal(found):
            return Finding("installation", "refused", refusal)
        if found:
            since = datetime.fromtimestamp(found.created_at_ms / 1000, UTC)
            text = f"{found.id}, since {since.isoformat(timespec='seconds')}; {self.place}"
            return Finding("installation", "ok", text)
        text = f"no worker has started with this ledger yet: {self.place}"
        if before := [place for place, _ in self._others()]:
            before.sort(key=lambda place: place.server != self.place.server)
            more = f"; and {len(before) - NAMED} more" if len(before) > NAMED else ""
            named = "; ".join(map(str, before[:NAMED]))
            text += f"; workers on this machine have used {named}{more}"
        return Finding("installation", "warning", text)

    def _refusal(self, found: Installation | None) -> str:
        """Say why the worker must not work with this ledger, "" if it may."""
        if too_few := self._too_few_cells(found):
            return too_few
        wanted, who = self._wanted()
        if wanted:
            is_right = found is not None and found.is_for(wanted)
            return "" if is_right else self._other(found, wanted, who)
        try:
            self._memory.recall(self.place)
        except Damaged as error:
            return str(error)
        return self._left_behind()

    def _too_few_cells(self, found: Installation | None) -> str:
        if not found or found.cells <= self._settings.cells:
            return ""
        return (
            f"the stores of the ledger at {self.place} live in {found.cells} cells, but"
            f" REFUNDS_CELLS is {self._settings.cells}: set it to {found.cells}; the number of"
            " cells cannot shrink"
        )

    def _others(self) -> Iterator[tuple[Place, str]]:
        """Yield the other ledgers that this machine remembers, but the cells of the same front."""
        front = replace(self.place, namespace=front_of(self.place.namespace))
        for place, installation in self._memory.others(self.place):
            if replace(place, namespace=front_of(place.namespace)) != front:
                yield place, installation

    def _left_behind(self) -> str:
        """Say so if this machine's workers have refunds in flight in another ledger beside it."""
        for place, installation in self._others():
            if place.server != self.place.server:
                continue
            left = count_elsewhere(self._redis, place.database, place.namespace, installation)
            if left:
                return (
                    f"the settings name the ledger at {self.place}, but {left} refunds are in"
                    f" flight in the one that this machine has used, {place}. {WHAT_TO_DO}"
                )
        return ""

    def _other(self, found: Installation | None, wanted: str, who: str) -> str:
        what = f"belongs to installation {found.id}" if found else "is empty, or another one"
        return f"the ledger at {self.place} {what}; {who} {wanted}. {WHAT_TO_DO}"

    def _cutoff(self, found: Installation | None) -> Iterator[Finding]:
        """Warn about a changed cutoff, as long as refunds from before it are in flight."""
        if not found:
            return
        namespace, now = self._settings.namespace, self._settings.cutoff.isoformat()
        if now != found.cutoff:
            before, left = found.cutoff, count_unfinished(self._redis, namespace)
        else:
            before = found.previous_cutoff
            left = count_unfinished(
                self._redis, namespace, accepted_until_ms=found.cutoff_changed_at_ms
            )
            if not before or not left:
                return
        text = (
            f"REFUNDS_CUTOFF was {before} and is {now}; {left} refunds from before the change are"
            " in flight: one whose flow was chosen keeps it"
        )
        yield Finding("cutoff", "warning", text)

    def _remember(self, installation: str) -> Iterator[Finding]:
        try:
            self._memory.remember(self.place, installation)
        except OSError as error:
            if not self._settings.installation:
                text = (
                    f"this machine cannot remember the installation ({error}): whether the ledger"
                    " was emptied or replaced is only noticed while the worker runs; set"
                    f" REFUNDS_INSTALLATION to {installation}, or REFUNDS_STATE_DIR"
                )
                yield Finding("installation", "warning", text)
