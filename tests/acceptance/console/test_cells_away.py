"""The console while a cell does not answer: it is named, and the others are shown."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cells import Cells
from tests.support.console import (
    ACT,
    text_of,
)
from tests.support.console_cells import (
    REASON,
    console_of,
    dead_in,
)
from tests.support.rig import STORE_ID
from tests.support.servers import Cluster, cluster
from worker.cells.names import namespace_of


@pytest.fixture
def spread(tmp_path: Path) -> Iterator[tuple[Cells, Cluster]]:
    """Cells of which one is on a node of its own; the others live on if it does not answer."""
    with cluster(tmp_path, 3) as found:
        namespace = f"t{uuid.uuid4().hex[:12]}"
        for cell in ("1", "2"):  # two of three nodes with slots go on
            tag = f"{{{namespace_of(namespace, cell)}}}"
            found.move(found.nodes[0].client.cluster("KEYSLOT", tag), to=found.nodes[int(cell)])
        for each in found.nodes:
            each.client.config_set("cluster-require-full-coverage", "no")
        cells = Cells(found.url, namespace=namespace)
        cells.rigs["1"].may_have_bugs = True  # nobody can ask it at the end
        yield cells, found
        cells.close()


def test_a_cell_that_does_not_answer_is_named(spread: tuple[Cells, Cluster]) -> None:
    """Each page shows what the others have, and says which one is missing."""
    cells, found = spread
    here, away = dead_in(cells, "0", "1")
    store_id = cells.load(here).request.store_id
    with console_of(cells) as program, program.browser(ACT) as browser:
        assert away in browser.text("/dead")
        found.nodes[1].process.kill()
        for path in ("/", "/refunds", "/dead", "/approvals", "/jobs", "/stores", "/audit-log"):
            page = browser.text(path)
            assert "Cell 1: Redis" in page, path
        assert "Cell 1 is missing below" in browser.text("/")
        assert f"1 stores are not shown, such as {STORE_ID}." in browser.text("/stores")
        assert here in browser.text("/dead")
        assert away not in browser.text("/dead")
        assert here in browser.text(f"/refund?id={here}")
        for address in (f"/refund?id={away}&cell=1", f"/refund?id={away}"):
            answer = browser.get(address)
            assert (answer.status_code, "Cell 1: Redis" in text_of(answer)) == (503, True)
        browser.get("/dead")
        chosen = {"id.0": here, "id.1": away, "act": "dead.discard", **REASON}
        page = browser.act("/choose", chosen)
        assert "Start: dead.discard of 1" in page
        assert "Nothing was done there." in page
        assert f"{store_id}: paused" in browser.act(
            "/store/act", {"id": store_id, "act": "pause", **REASON}
        )
        page = browser.act("/store/act", {"act": "pause_all", **REASON})
        assert "Cell 0: All stores: paused" in page
        assert re.search("Cell 1: Redis .* It is not known whether this was done", page)


def test_cells_that_were_added_are_told(redis_url: str) -> None:
    """The console shows those that there were at its start; a pause of all stores misses one."""
    cells = Cells(redis_url)
    added = "Cell 3 was added, and is not shown"
    with console_of(cells) as program, program.browser(ACT) as browser:
        assert added not in browser.text("/dead")
        cells.directory_of(4).grow()
        assert "live in 4 cells, but REFUNDS_CELLS is 3" in browser.text("/")
        assert added in browser.text("/dead")
        page = browser.act("/store/act", {"act": "pause_all", **REASON})
        assert "Cell 2: All stores: paused" in page
        assert added in page
        answer = browser.get("/refund?id=rf-of-the-new-cell")
        assert (answer.status_code, added in text_of(answer)) == (503, True)
        page = browser.text("/stores")
        assert STORE_ID in page
        assert "stores are not shown" not in page
    cells.close()
