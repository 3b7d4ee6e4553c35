"""The shell of an operator who connects a store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from tests.support.rig import KEY, STORE_ID
from tests.support.stores_rig import StoresRig
from worker.cli.main import app


class Shop:
    """An operator's shell: its environment, and a file with the API key."""

    def __init__(self, rig: StoresRig, wix_url: str, place: Path) -> None:
        assert rig.settings.vault_keys is not None
        self.rig = rig
        self.environment = {
            "REFUNDS_REDIS_URL": rig.settings.redis_url.get_secret_value(),
            "REFUNDS_NAMESPACE": rig.settings.namespace,
            "REFUNDS_WIX_BASE_URL": wix_url,
            "REFUNDS_VAULT_KEYS": rig.settings.vault_keys.get_secret_value(),
            "COLUMNS": "200",
        }
        self.key_file = place / "key.txt"
        self.key_file.write_text(f"{KEY}\n")

    def run(self, *arguments: str, stdin: str | None = None, **more: str | None) -> Result:
        """Run `refunds stores` with these arguments."""
        environment = {**self.environment, **more}
        result = CliRunner().invoke(app, ["stores", *arguments], input=stdin, env=environment)
        assert KEY not in result.output
        return result

    def json(self, *arguments: str, stdin: str | None = None) -> Any:
        """Run it with --json, and return the document."""
        return json.loads(self.run(*arguments, "--json", stdin=stdin).stdout)

    def connect(self, *more: str) -> Result:
        """Connect the store, with the key in a file."""
        ids = ("--site", STORE_ID, "--account", self.rig.account_id)
        return self.run("connect", *ids, "--api-key-file", str(self.key_file), *more)

    def pasted(self, **changed: str) -> str:
        """Return the JSON for --stdin."""
        ids = {"site_id": STORE_ID, "account_id": self.rig.account_id, "api_key": KEY}
        return json.dumps(ids | changed)
