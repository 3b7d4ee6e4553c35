"""The style sheet, the script and the icon: named one by one, so that no path leads elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

FOLDER = Path(__file__).parent / "static"
_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
FILES: Mapping[str, tuple[bytes, str]] = MappingProxyType(
    {
        name: ((FOLDER / name).read_bytes(), _MEDIA_TYPES[Path(name).suffix])
        for name in ("console.css", "console.js", "icon.svg")
    }
)


async def send_file(request: Request) -> Response:
    """Send one of the files."""
    request.scope["operation"] = "send_file"
    if request.path_params["name"] not in FILES:
        raise HTTPException(404)
    content, media_type = FILES[request.path_params["name"]]
    return Response(content, media_type=media_type)
