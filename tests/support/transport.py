"""The simulator in the place of the network."""

from __future__ import annotations

import httpx

from worker.simulator.script.faults import ConnectionDropped


class SimulatorTransport(httpx.WSGITransport):
    """The simulator without a socket; a dropped connection raises the error that a socket would."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer the request, or raise the error of a dropped connection."""
        try:
            return super().handle_request(request)
        except ConnectionDropped:
            raise httpx.RemoteProtocolError("dropped", request=request) from None
