"""Fields that the worker does not read decide nothing, whatever their value."""

from __future__ import annotations

import inspect
import re
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from tests.golden.test_golden import BY_NAME, CLIENT, filled
from tests.house.documents import ROOT
from tests.support.unread import CHANGES, changed, unread
from worker.wix import billing, models, sites
from worker.wix.client import ClientFactory, WixStore

#: The recorded successful answers.
AGREED = sorted(name for name in CLIENT if BY_NAME[name]["status"] == 200)


class _Seeing(WixStore):
    """Remembers the model with which the answer was read."""

    model: type[BaseModel] | None = None

    def _call(self, endpoint: str, method: str, path: str, model: Any, *a: Any, **k: Any) -> Any:
        self.model = model
        return super()._call(endpoint, method, path, model, *a, **k)


def _read(name: str, body: Any) -> tuple[type[BaseModel], Any]:
    """Return the model of this recorded call, and the client's result for the answer *body*."""
    factory = ClientFactory(
        "http://wix.test",
        connect_timeout_ms=1_000,
        read_timeout_ms=1_000,
        total_timeout_ms=1_000,
        transport=lambda: httpx.MockTransport(lambda _: httpx.Response(200, json=body)),
    )
    store = _Seeing(factory.channel, "IST.key", {"wix-site-id": "site"}, lambda: None)
    try:
        found = CLIENT[name].facts(CLIENT[name].call(store))
    finally:
        factory.close()
    assert store.model
    return store.model, found


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", AGREED)
def test_each_unread_field_may_be_anything(name: str, change: str) -> None:
    """One after the other, and all at once."""
    body = filled(BY_NAME[name]["response"])
    model, _ = _read(name, body)
    paths = list(unread(model, body))
    for some in ([path] for path in paths), [paths]:
        for one in some:
            assert _read(name, changed(body, change, one))[1] == CLIENT[name].expected


@given(st.data())
def test_any_of_them_in_any_way(data: st.DataObject) -> None:
    """Any of them are removed, null or of another type, in any combination."""
    name = data.draw(st.sampled_from(AGREED))
    body = filled(BY_NAME[name]["response"])
    model, _ = _read(name, body)
    for path in list(unread(model, body)):
        change = data.draw(st.sampled_from(["", *CHANGES]))
        body = changed(body, change, [path] if change else [])
    assert _read(name, body)[1] == CLIENT[name].expected


def _fields() -> list[tuple[str, str]]:
    """Return class and name of each field that is read from an answer."""
    found = [
        (kind.__name__, name)
        for module in (models, billing, sites)
        for kind in vars(module).values()
        if inspect.isclass(kind) and issubclass(kind, BaseModel)
        for name in kind.model_fields
    ]
    return sorted(set(found))


#: Fields that only show that the answer is not an error.
_PRESENCE = {
    ("CurrenciesAnswer", "currencies"),
    ("FulfillmentsChanged", "order_with_fulfillments"),
    ("VoidAnswer", "order_transactions"),
}


def test_the_models_hold_only_what_the_code_reads() -> None:
    """A field that is validated but not read could make an answer unreadable for no reason."""
    product = [p for p in (ROOT / "worker").rglob("*.py") if "simulator" not in p.parts]
    used = {name for p in product for name in re.findall(r"\.(\w+)\b", p.read_text())}
    assert {field for field in _fields() if field[1] not in used} <= _PRESENCE
