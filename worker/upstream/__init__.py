"""What upstream services install: a wheel of its own, without the worker."""

from .job import InvalidJob
from .outcomes import Outcome
from .queue import RefundQueue

__all__ = ["InvalidJob", "Outcome", "RefundQueue"]
