"""What upstream services install: a wheel of its own, without the worker."""

from .asynchronous import AsyncOutcomes, AsyncRefundQueue
from .invalid import FieldError, InvalidJob
from .many import Refused, Requested
from .outcomes import Outcome
from .queue import RefundQueue
from .reading import Outcomes
from .reason_codes import REASON_CODES, reason_code_for
from .status import Status

__all__ = [
    "REASON_CODES",
    "AsyncOutcomes",
    "AsyncRefundQueue",
    "FieldError",
    "InvalidJob",
    "Outcome",
    "Outcomes",
    "RefundQueue",
    "Refused",
    "Requested",
    "Status",
    "reason_code_for",
]
