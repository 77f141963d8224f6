"""The edge's own routes: the OpenAPI document and its viewer, and the public keys of the users' tokens.

All other paths are passed on to a service.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import MediaType, Response, asgi, get
from litestar.di import NamedDependency
from litestar.types import Receive, Scope, Send

from services.edge.settings import EdgeSettings
from shared.contracts.problem import not_found
from shared.http import ApiRequest

if TYPE_CHECKING:
    from services.edge.document.schema import PublicSchema
    from services.edge.forwarding.proxy import Proxy

ANYONE = {"public": True}
Settings = NamedDependency[EdgeSettings]
VIEWER = Path(__file__).with_name("document").joinpath("schema.html").read_bytes()
VIEWER_POLICY = "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


def public_keys(document: bytes) -> bytes:
    """The JWKS without symmetric keys and without private members, even if the file has them by mistake."""
    keys = msgspec.json.decode(document, type=dict[str, Any]).get("keys", [])
    public = [
        {name: value for name, value in key.items() if name not in PRIVATE_MEMBERS}
        for key in keys
        if key.get("kty") != "oct"
    ]
    return msgspec.json.encode({"keys": public})


@get("/schema", opt=ANYONE, media_type=MediaType.HTML, sync_to_thread=False)
def viewer() -> Response[bytes]:
    """A page that shows the document; it loads nothing from anywhere else."""
    return Response(VIEWER, media_type=MediaType.HTML, headers={"content-security-policy": VIEWER_POLICY})


@get("/schema/openapi.json", opt=ANYONE)
async def document(request: ApiRequest) -> Response[bytes]:
    """The OpenAPI document of all public operations."""
    schema: PublicSchema = request.app.state.schema
    return Response(
        await schema.document(), media_type="application/json", headers={"cache-control": "public, max-age=30"}
    )


@get("/.well-known/jwks.json", opt=ANYONE, sync_to_thread=True)
def jwks(settings: Settings) -> Response[bytes]:
    """The public keys of users' tokens. The file is read for each request, so a key rotation needs no restart."""
    if not settings.jwks_file:
        raise not_found("A key set of this edge")
    return Response(
        public_keys(Path(settings.jwks_file).read_bytes()),
        media_type="application/json",
        headers={"cache-control": "public, max-age=60"},
    )


@asgi("/", is_mount=True, copy_scope=False, opt=ANYONE)
async def proxied(scope: Scope, receive: Receive, send: Send) -> None:
    """Passes the request on to a service. The proxy verifies the token, since the path's rule states the roles."""
    proxy: Proxy = scope["litestar_app"].state.proxy
    await proxy(scope, receive, send)  # type: ignore[arg-type]  # always HTTP: see `streams/web_sockets.py`
