"""Strange bytes, guided by the lines that they reach: part of `make fuzz` if atheris is installed.

What reads them is in `readers.py`. If one of them raises another error than its own, atheris prints
the error and the input in base64, and the exit code is not 0.
"""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

MINUTES = 2
#: Imported late, so that atheris can instrument what it imports.
READERS = "tests.fuzz.readers"
#: Texts that a search would not find by chance.
NAMES = (
    "refund_id", "store_id", "order_id", "order_number", "lines", "line_item_id", "quantity",
    "shipping", "amount", "currency", "metadata", "expires_at", "kwargs", "options", "eta",
    "priceSummary", "GMT",
)  # fmt: skip


def search(*options: str) -> int:
    """Run atheris in a program of its own, with *options* of libFuzzer; returns its exit code."""
    readers = importlib.import_module(READERS)
    with tempfile.TemporaryDirectory(prefix="refunds-guided-") as folder:
        corpus, names = Path(folder, "corpus"), Path(folder, "names")
        corpus.mkdir()
        for number, (_, inputs) in enumerate(readers.READERS):
            for place, content in enumerate(inputs):
                (corpus / f"{number}-{place}").write_bytes(bytes([number]) + content)
        names.write_text("".join(f'"{name}"\n' for name in NAMES), encoding="utf-8")
        places = (str(corpus), f"-dict={names}", f"-artifact_prefix={folder}/")
        program = (sys.executable, "-m", "tests.fuzz.guided", *places, "-max_len=4000", *options)
        return subprocess.run(program, check=False).returncode


def _fuzz() -> None:
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["config", "worker"]):
        readers = importlib.import_module(READERS)
    atheris.Setup(sys.argv, readers.read)
    atheris.Fuzz()


def main() -> int:
    """Search for two minutes; returns the exit code."""
    if not importlib.util.find_spec("atheris"):
        sys.stderr.write("atheris is not installed: no search guided by coverage\n")
        return 0
    if len(sys.argv) > 1:
        _fuzz()
    return search(f"-max_total_time={MINUTES * 60}")


if __name__ == "__main__":
    sys.exit(main())
