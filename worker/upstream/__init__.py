"""What upstream services install: a wheel of its own, without the worker."""

from .invalid import FieldError, InvalidJob
from .many import Refused, Requested
from .outcomes import Outcome
from .queue import RefundQueue

__all__ = ["FieldError", "InvalidJob", "Outcome", "RefundQueue", "Refused", "Requested"]
