"""Do the items of bulk acts; the scheduler that leads runs it, so it survives every command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import redis

from worker.ledger.acts import Acts
from worker.ledger.audit_log import Operator
from worker.ledger.jobs import Due, Job, Jobs
from worker.observability.events import log_event
from worker.observability.foreign import type_and_place
from worker.operations.acts.refusals import CannotAct
from worker.operations.acts.wix_desk import WixDesk
from worker.operations.jobs.table import BULK, Item
from worker.queue.middleware import may_pass


@dataclass(frozen=True, kw_only=True)
class JobRunner:
    """Does what is due. A kill loses nothing: an item is on its list until its own write."""

    acts: Acts
    jobs: Jobs
    desk: WixDesk

    def turn(self, is_stopping: Callable[[], bool]) -> None:
        """Do the items that are due now."""
        known: dict[str, Job | None] = {}
        for due in self.jobs.due():
            if is_stopping():
                return
            if due.job_id not in known:
                known[due.job_id] = self.jobs.find(due.job_id)
            if job := known[due.job_id]:
                self._do(job, due)
        for job_id in known:
            self._log_end(self.jobs.find(job_id))

    def _do(self, job: Job, due: Due) -> None:
        order = job.order
        item = Item(
            due=due,
            acts=self.acts,
            desk=self.desk,
            operator=Operator(order.by, order.why, job.id),
            arguments=order.arguments,
        )
        if order.act not in BULK:
            self.jobs.refuse(job.id, due.id, "this version of the worker cannot do it")
            return
        try:
            BULK[order.act].run(item)
        except CannotAct as refusal:
            self.jobs.refuse(job.id, due.id, str(refusal))
        except Exception as error:  # one item must not hold up the others
            # Another worker did it, or the bulk act was stopped.
            if isinstance(error, redis.ResponseError) and "NOTDUE" in str(error):
                return
            if may_pass(error):
                raise
            log_event("worker.bug", error=type_and_place(error), thread="jobs")
            self.jobs.refuse(job.id, due.id, f"the worker failed: {type_and_place(error)}")

    @staticmethod
    def _log_end(job: Job | None) -> None:
        if job is None:
            return
        counts = {"done": job.done, "refused": job.refused, "left": job.left}
        if job.state == "waiting":
            log_event("job.waiting", job_id=job.id, act=job.order.act, **counts)
        elif job.state == "done":
            log_event("job.done", job_id=job.id, act=job.order.act, **counts)
