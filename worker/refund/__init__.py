"""The job, our record of it, reason codes, outcome events."""

from worker.refund.request import InvalidJob as InvalidJob
