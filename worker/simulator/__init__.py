"""Wix's side of the wire, as far as a refund needs it. Imports nothing of ours.

Rules: wix-api.md 6.7. What is documented is fixed; every unknown is a field of `Flags`.
"""

from worker.simulator.http.server import serve
from worker.simulator.script.faults import Fault
from worker.simulator.script.flags import Flags
from worker.simulator.simulator import Simulator

__all__ = ["Fault", "Flags", "Simulator", "serve"]
