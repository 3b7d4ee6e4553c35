"""A simulated Wix, with the endpoints that a refund needs. It imports nothing from the worker.

It follows the facts in worker/wix/README.md: documented behaviour is fixed, and for each unknown
there is a flag (see `Flags`).
"""

from worker.simulator.http.server import serve
from worker.simulator.script.faults import Fault
from worker.simulator.script.flags import Flags
from worker.simulator.simulator import Simulator

__all__ = ["Fault", "Flags", "Simulator", "serve"]
