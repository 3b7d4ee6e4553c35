"""Scripts whose first reply is lost."""

from __future__ import annotations

from typing import Any


def lose_reply(scripts: dict[str, Any], name: str) -> None:
    """Run the script *name* twice on each call, as redis-py does if the first reply is lost."""
    script = scripts[name]

    def twice(**arguments: Any) -> Any:
        script(**arguments)
        return script(**arguments)

    scripts[name] = twice
