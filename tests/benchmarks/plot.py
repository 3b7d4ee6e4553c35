"""The picture of the results: `plot RESULTS PICTURE`, with the matplotlib of the peers."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

OURS, OTHERS = "#1f6f8b", "#b8c4cc"
#: Title and unit of each panel, by the name of its figures.
PANELS = {
    "per_s": ("throughput", "refunds per second"),
    "cpu_s_per_1000": ("CPU time", "seconds per 1,000 refunds"),
    "p50_ms": ("20 per second, median", "ms"),
    "p99_ms": ("20 per second, p99", "ms"),
    "quiet_p95_ms": ("a quiet store, p95", "ms"),
    "cpu_s_per_1000_after": ("after finished refunds", "CPU seconds per 1,000"),
}


def main(results: Path, picture_at: Path) -> int:
    """Draw the results; returns the exit code."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an extra
        import matplotlib.pyplot as plt  # noqa: PLC0415 - an extra
    except ImportError:
        sys.stderr.write("matplotlib is not installed: there is no picture of the results\n")
        return 0
    mpl.use("Agg")
    figures = json.loads(results.read_text())["figures"]
    shown = [name for name in PANELS if name in figures]
    if not shown:
        return 0
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    picture, axes = plt.subplots(rows, columns, figsize=(4 * columns, 2.6 * rows), squeeze=False)
    for axis in axes.flat[len(shown) :]:
        axis.set_visible(False)
    for axis, name in zip(axes.flat, shown, strict=False):
        _panel(axis, figures[name], *PANELS[name])
    picture.tight_layout()
    picture.savefig(picture_at, dpi=110)
    return 0


def _panel(axis: Any, series: dict[str, list[float]], title: str, unit: str) -> None:
    """Draw one bar for each contender or scene: the median, with smallest and largest value."""
    names = list(series)[::-1]
    middle = [series[name][0] for name in names]
    spread = [
        [series[name][0] - series[name][1] for name in names],
        [series[name][2] - series[name][0] for name in names],
    ]
    colors = [OURS if name in {"ours", "alone", "few"} else OTHERS for name in names]
    axis.barh(names, middle, xerr=spread, color=colors, ecolor="#555555", capsize=2)
    axis.set_title(title, fontsize=10)
    axis.set_xlabel(unit, fontsize=8)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
