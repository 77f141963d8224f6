"""What the edge answers itself: the API's document and its viewer, and the public keys of the users' tokens."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import MediaType, Response, asgi, get
from litestar.types import ControllerRouterHandler, Receive, Scope, Send

from shared.contracts.problem import not_found
from shared.http import ApiRequest

if TYPE_CHECKING:
    from services.edge.proxy import Proxy
    from services.edge.schema import PublicSchema

ANYONE = {"public": True}
VIEWER = Path(__file__).with_name("schema.html").read_bytes()
VIEWER_POLICY = "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


def public_keys(document: bytes) -> bytes:
    """A JWKS without anything private, whatever the file holds: symmetric keys are left out, private members cut."""
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


def jwks_route(jwks_file: str) -> ControllerRouterHandler:
    """The route of the users' public keys, read at each request so that a rotation needs no restart."""

    @get("/.well-known/jwks.json", opt=ANYONE, sync_to_thread=True)
    def jwks() -> Response[bytes]:
        if not jwks_file:
            raise not_found("A key set of this edge")
        return Response(
            public_keys(Path(jwks_file).read_bytes()),
            media_type="application/json",
            headers={"cache-control": "public, max-age=60"},
        )

    return jwks


@asgi("/", is_mount=True, copy_scope=False, opt=ANYONE)
async def proxied(scope: Scope, receive: Receive, send: Send) -> None:
    """Everything else belongs to a service. The proxy itself asks for the token, by the rule of the address."""
    proxy: Proxy = scope["litestar_app"].state.proxy
    await proxy(scope, receive, send)  # type: ignore[arg-type]  # HTTP it is: websockets are not served
