"""Wix's side of the wire, as far as a refund needs it. Imports nothing of ours.

The rules are the facts of worker/wix/README.md: what is documented is fixed, and every unknown
is a field of `Flags`.
"""

from worker.simulator.http.server import serve
from worker.simulator.script.faults import Fault
from worker.simulator.script.flags import Flags
from worker.simulator.simulator import Simulator

__all__ = ["Fault", "Flags", "Simulator", "serve"]
