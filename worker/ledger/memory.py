"""What a machine remembers: the installation of each ledger that its workers used, in small files.

The ledger holds the same id (worker.ledger.installation); if they differ, it is another ledger.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import redis


@dataclass(frozen=True)
class Place:
    """Where a ledger is: a server, a database, a namespace."""

    server: str
    """HOST:PORT, the path of a socket, or the nodes that are asked for the primary; never a user
    or a password."""
    database: int
    namespace: str

    def __str__(self) -> str:
        return f"{self.server}/{self.database}, namespace {self.namespace}"


class Damaged(ValueError):
    """A file that does not hold what was written; the text says what to do."""


def place_of(client: redis.Redis, namespace: str) -> Place:
    """Return where the client's ledger is, as the settings name it."""
    given = client.connection_pool.connection_kwargs
    locator = given.get("locator")
    server = given.get("path") or f"{given.get('host', 'localhost')}:{given.get('port', 6379)}"
    if locator:
        server = locator.name
    return Place(str(server), int(given.get("db") or 0), namespace)


def default_directory(environ: Mapping[str, str]) -> Path | None:
    """Return the directory that the XDG specification names; None without a home directory."""
    with suppress(RuntimeError):
        state = environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        return Path(state) / "wix-refund-worker"
    return None


class Memory:
    """The files of one directory. A directory that cannot be read remembers nothing."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def path(self, place: Place) -> Path:
        """Return the file for a ledger.

        Raises:
            OSError: there is no directory for it.
        """
        if self._directory is None:
            raise FileNotFoundError("there is no home directory")
        seed = f"{place.server}|{place.database}|{place.namespace}"
        digest = hashlib.sha256(seed.encode()).hexdigest()
        return self._directory / f"{place.namespace}-{digest[:12]}.json"

    def recall(self, place: Place) -> str:
        """Return the id of the installation that this ledger held, "" if it is not known.

        Raises:
            Damaged: the file cannot be understood.
        """
        try:
            path = self.path(place)
            return _read(path)[1]
        except OSError:
            return ""
        except (ValueError, KeyError, TypeError):
            raise Damaged(
                f"{path} is damaged; delete it if the settings are right, or run"
                " `refunds doctor --adopt`"
            ) from None

    def remember(self, place: Place, installation: str) -> None:
        """Write the file, at once or not at all; one that is right already is left alone.

        Raises:
            OSError: it cannot be written.
        """
        path = self.path(place)
        with suppress(OSError, ValueError, KeyError, TypeError):
            if _read(path) == (place, installation):
                return
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"installation": installation, **asdict(place)}, indent=1)
        new = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            with new.open("w") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)

    def others(self, place: Place) -> Iterator[tuple[Place, str]]:
        """Yield all other ledgers that this machine remembers, and their installations."""
        if self._directory is None:
            return
        for path in sorted(self._directory.glob("[!.]*.json")):
            with suppress(OSError, ValueError, KeyError, TypeError):
                other, installation = _read(path)
                if other != place:
                    yield other, installation


def _read(path: Path) -> tuple[Place, str]:
    given = json.loads(path.read_text())
    place = Place(str(given["server"]), int(given["database"]), str(given["namespace"]))
    return place, str(given["installation"])
