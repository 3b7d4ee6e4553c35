"""What the commands about stores work with, and how they print what a check found."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from config.loading import SettingsError
from worker.app import keyring_from, ledger_from, stores_from, wix_from
from worker.cli.cells import that_live_here
from worker.cli.common import close_at_end, settings
from worker.cli.output import if_encodable, print_table, say
from worker.ledger.refunds import Ledger
from worker.ledger.stores import Stores
from worker.operations.acts.stores import all_ids, is_known
from worker.operations.acts.wix_desk import WixDesk
from worker.stores.checklist import Findings
from worker.stores.examiner import Examiner
from worker.stores.keyring import Keyring
from worker.stores.vault import Vault
from worker.wix.client import ClientFactory

MARKS = {"ok": "✓", "missing": "✗", "unknown": "?"}


@dataclass(frozen=True)
class Desk:
    """What the commands work with."""

    keyring: Keyring
    ledger: Ledger
    stores: Stores
    examiner: Examiner
    wix: ClientFactory

    @property
    def vault(self) -> Vault:
        """The vault, which the settings must name keys for."""
        if self.keyring.vault is None:
            raise SettingsError(
                "REFUNDS_VAULT_KEYS is not set, so API keys cannot be encrypted;"
                " make a vault key with: refunds stores keygen"
            )
        return self.keyring.vault

    def knows(self, store_id: str) -> bool:
        """Whether there is such a store: connected, in REFUNDS_STORES, or with refunds."""
        return is_known(self.stores.find(store_id), self.keyring)

    def all_ids(self) -> list[str]:
        """The stores of the vault, then those of REFUNDS_STORES; only those of this cell."""
        return that_live_here(all_ids(self.stores, self.keyring))


def open_desk() -> Desk:
    """Connect to the ledger and to Wix."""
    given = settings()
    broker, ledger = ledger_from(given)
    wix, pause = wix_from(given), threading.Event()
    close_at_end(broker.client.close)
    close_at_end(wix.close)
    return Desk(
        keyring_from(given),
        ledger,
        stores_from(given, broker),
        Examiner(wix=wix, progress=say, pause=pause.wait),
        wix,
    )


def open_wix_desk() -> WixDesk:
    """Connect to the ledger and to Wix, to ask about single refunds."""
    given, desk = settings(), open_desk()
    return WixDesk(
        keyring=desk.keyring,
        ledger=desk.ledger,
        stores=desk.stores,
        wix=desk.wix,
        settings=given,
    )


def print_checks(findings: Findings) -> None:
    """Print each box of the key, and what follows."""
    rows = [
        {
            "": if_encodable(MARKS[check.result], check.result),
            "box": check.box,
            "for": check.about,
            "result": check.text,
        }
        for check in findings.checks
    ]
    print_table(rows, ("", "box", "for", "result"))
    say(findings.public()["sentence"])
