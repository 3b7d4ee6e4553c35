"""Bytes of the environment that are not UTF-8."""

from __future__ import annotations

import pytest

from config.loading import SettingsError, load_settings


def test_a_variable_that_is_not_utf_8_is_named() -> None:
    """Python stands a lone surrogate for such a byte; neither Redis nor JSON could take it."""
    bad = {"REFUNDS_REDIS_URL": "redis://:\udcff@localhost/0", "REFUNDS_ARCHIVE": "/\udcff"}
    with pytest.raises(SettingsError) as caught:
        load_settings(bad | {"OTHER": "\udcff"})
    assert str(caught.value).split("\n") == [f"{name} is not valid UTF-8" for name in bad]
