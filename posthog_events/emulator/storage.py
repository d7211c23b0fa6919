"""The storage behind presigned addresses: it knows signatures, not keys, and answers in XML as S3 does."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.responses import FileResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

    from posthog_events.emulator.world import World

__all__ = ["ROOT_ROUTES", "presign"]

_SECRET = secrets.token_bytes(32)
_DATE = "%Y%m%dT%H%M%SZ"
_ALGORITHM = "AWS4-HMAC-SHA256"
FOLDER = "storage"


def presign(world: World, path: Path) -> str:
    """Return an address from which a file below the world's storage can be read for `Limits.url_lifetime_s`."""
    key = path.relative_to(world.scratch / FOLDER).as_posix()
    date = world.now().astimezone(UTC).strftime(_DATE)
    expires = str(int(world.limits.url_lifetime_s))
    query = {
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Date": date,
        "X-Amz-Expires": expires,
        "X-Amz-SignedHeaders": "host",
        "X-Amz-Signature": _signature(key, date, expires),
    }
    return f"{world.origin}/_storage/{key}?{urlencode(query)}"


def _signature(key: str, date: str, expires: str) -> str:
    return hmac.new(_SECRET, f"{key}\n{date}\n{expires}".encode(), hashlib.sha256).hexdigest()


def serve(request: Request) -> Response:
    """Answer a presigned GET; ranges work."""
    world: World = request.app.state.world
    key, query = request.path_params["key"], request.query_params
    if "authorization" in request.headers:
        message = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter should be specified"
        return _error(400, "InvalidArgument", message)
    date, expires = query.get("X-Amz-Date", ""), query.get("X-Amz-Expires", "")
    if not hmac.compare_digest(_signature(key, date, expires), query.get("X-Amz-Signature", "")):
        message = "The request signature we calculated does not match the signature you provided."
        return _error(403, "SignatureDoesNotMatch", message)
    signed = datetime.strptime(date, _DATE).replace(tzinfo=UTC)
    if world.now() >= signed + timedelta(seconds=int(expires)):
        return _error(403, "AccessDenied", "Request has expired")
    path = world.scratch / FOLDER / key
    if not path.is_file():
        return _error(404, "NoSuchKey", "The specified key does not exist.")
    return FileResponse(path, media_type="binary/octet-stream", filename=path.name)


def _error(status: int, code: str, message: str) -> Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Response(body, status, media_type="application/xml")


ROOT_ROUTES = (Route("/_storage/{key:path}", serve),)
