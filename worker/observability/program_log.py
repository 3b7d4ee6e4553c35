"""The log of a program that runs for long: each line is an event, and no line holds anything up."""

from __future__ import annotations

import atexit
import sys
from typing import get_args

from worker.observability.foreign import catch_all
from worker.observability.log_queue import LogQueue
from worker.observability.logs import Chosen, choose, configure_logs

#: How long the last lines may take to be written when the program ends.
LAST_LINES_S = 0.5
_STANDARD_ERROR = 2


def begin_log(wanted: str) -> LogQueue:
    """Write the log to standard error from now on; *wanted* is a format, if it names one.

    The settings are not known yet: what is wrong with them is also an event.
    """
    log_format: Chosen | None = next((one for one in get_args(Chosen) if one == wanted), None)
    lines = LogQueue(_STANDARD_ERROR)
    atexit.register(lines.close, LAST_LINES_S)
    configure_logs(log_format, "info", write=lines.put)
    # A terminal shows a traceback better as it is.
    if choose(log_format, sys.stderr) != "console":
        catch_all()
    return lines
