"""Words of Wix, of payment providers and of merchants do not control the terminal."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable

import pytest

from statemachine.flows import State
from tests.support.logs import captured_log, restored_logging
from tests.support.rig import AFTER, BEFORE, Rig
from worker.cli.common import run
from worker.cli.main import app
from worker.observability.logs import configure_logs
from worker.observability.printable import printable
from worker.simulator import Fault

#: Clear the screen, set the title, C1, a link, bidirectional and invisible characters, line ends.
HOSTILE = (
    "\x1b[2J\x1b]0;t\x07\x9b31m\x1b]8;;http://x\x07\u202eabc\u2066\u200b\ufeff\r\nok 0\x7f\x00"
)
#: The same where Wix's field has a limited length.
SHORT = "\x1b[2J\u202e\n"


def _status(rig: Rig) -> str:
    return rig.request(rig.order(AFTER, extra={"status": HOSTILE}))


def _method(rig: Rig) -> str:
    return rig.request(rig.order(BEFORE, payments=[{"amount": "3.00", "method": HOSTILE}]))


def _manual(rig: Rig) -> str:
    payment = {"amount": "3.00", "manual": HOSTILE, "provider_link": f"https://pay/{HOSTILE}"}
    return rig.request(rig.order(AFTER, payments=[payment]))


def _reason(rig: Rig) -> str:
    return rig.request(rig.order(AFTER, payments=[{"amount": "3", "non_refundable": HOSTILE}]))


def _provider_code(rig: Rig) -> str:
    payment = {"amount": "3.00", "outcome": "FAILED", "reason_code": SHORT}
    order = rig.order(AFTER, payments=[payment, {"amount": "1.00"}])
    return rig.request(order)


def _tracking(rig: Rig) -> str:
    lines = [{"price": "5.00", "quantity": 1}]
    tracking = {"trackingNumber": HOSTILE, "shippingProvider": HOSTILE, "trackingLink": HOSTILE}
    parcel = {"lineItems": [{"index": 0}], "trackingInfo": tracking}
    for endpoint, code in (("cancel_order", "A_NEW_CODE"), ("create_fulfillment", SHORT)):
        rig.simulator.script(_refusal(endpoint, code))
    return rig.request(rig.order(BEFORE, lines=lines, fulfillments=[parcel]))


def _code(rig: Rig) -> str:
    rig.simulator.script(_refusal("submit_refund", HOSTILE))
    return rig.request(rig.order(AFTER))


def _merchants_reason(rig: Rig) -> str:
    order = rig.order(AFTER)
    rig.simulator.merchant_refunds(order.id, reason=HOSTILE)
    return rig.request(order)


def _refusal(endpoint: str, code: str) -> Fault:
    return Fault("status", endpoint, status=428, code=code, times=1_000)


CASES = [
    (_status, State.DEAD),
    (_method, State.CANCELLED),
    (_manual, State.DEAD),
    (_reason, State.DEAD),
    (_provider_code, State.DEAD),
    (_tracking, State.DEAD),
    (_code, State.DEAD),
    (_merchants_reason, State.REJECTED),
]


@pytest.fixture
def refunds(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Run one command of `refunds` in this process; return all that it prints."""
    monkeypatch.setenv("REFUNDS_REDIS_URL", rig.settings.redis_url.get_secret_value())
    monkeypatch.setenv("REFUNDS_NAMESPACE", rig.settings.namespace)

    def command(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["refunds", *arguments])
        with pytest.raises(SystemExit):
            run(app)
        return "".join(capsys.readouterr())

    return command


def _is_harmless(text: str) -> bool:
    return all(printable(line) == line for line in text.split("\n"))


@pytest.mark.parametrize(("ask", "ends"), CASES, ids=lambda case: getattr(case, "__name__", ""))
def test_no_screen_and_no_log_line_obeys_it(
    rig: Rig, refunds: Callable[..., str], ask: Callable[[Rig], str], ends: State
) -> None:
    """Everything that a person may look at afterwards, and each line of the log."""
    with captured_log() as out:
        refund_id = ask(rig)
        rig.run_until_idle()
    assert rig.load(refund_id).state is ends
    for line in out.getvalue().splitlines():
        assert isinstance(json.loads(line), dict)
    for arguments in (
        ("show", refund_id),
        ("list",),
        ("dead", "list"),
        ("dead", "show", refund_id),
        ("outcomes",),
        ("audit",),
        ("stores", "list"),
    ):
        for more in ((), ("--json",)):
            printed = refunds(*arguments, *more)
            assert printed
            assert _is_harmless(printed), arguments


def test_the_log_for_people_is_harmless(rig: Rig) -> None:
    """The console shows the same events; its own colours are left out here."""
    out = io.StringIO()
    with restored_logging():
        configure_logs("console", "info", out)
        for ask, _ in CASES:
            ask(rig)
            rig.run_until_idle()
            rig.simulator.clear_faults()
    shown = re.sub(r"\x1b\[\d*m", "", out.getvalue())
    assert "step.dead" in shown
    assert _is_harmless(shown)
