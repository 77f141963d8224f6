"""An IPFS gateway for what published packages contain. Public, and needs no IPFS node."""

from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import PathParameter, QueryParameter

from services.storage.gateway.gateway import PROBE, Gateway, parsed_cid
from services.storage.gateway.paths import resolve
from services.storage.gateway.request_form import CarOptions, Scope, form_of
from services.storage.routes.disposition import Download
from services.storage.routes.documentation import FileDownload
from services.storage.routes.ipfs_responses import (
    Answer,
    car_response,
    plain_response,
    probe_response,
    raw_response,
)
from shared.http import ApiRequest
from shared.http.positions import following

ANYONE = {"public": True} | following("collections")
CidText = Annotated[str, PathParameter(description="A CIDv1 in lower-case base32", min_length=1, max_length=200)]
Names = Annotated[PurePosixPath, PathParameter(description="Names of directories and of a file below the CID")]
Format = Annotated[
    Literal["raw", "car"] | None,
    QueryParameter(name="format", description="A block, or a CAR file; by default what Accept names"),
]
CarVersion = Annotated[str | None, QueryParameter(name="car-version", max_length=20, description="1")]
CarOrder = Annotated[str | None, QueryParameter(name="car-order", max_length=20, description="`dfs` or `unk`")]
CarDups = Annotated[
    str | None,
    QueryParameter(name="car-dups", max_length=20, description="`y`: blocks as often as they are linked"),
]
DagScope = Annotated[
    Scope | None, QueryParameter(name="dag-scope", description="What a CAR file has; `all` by default")
]
EntityBytes = Annotated[
    str | None, QueryParameter(name="entity-bytes", max_length=50, description="`from:to`, of a file in a CAR file")
]
FileName = Annotated[
    str | None, QueryParameter(min_length=1, max_length=200, description="The name under which it is saved")
]


@get("/ipfs/{cid:str}", summary="Content by its CID", opt=ANYONE, operation_class=FileDownload)
async def read_content_by_cid(
    request: ApiRequest,
    cid: CidText,
    gateway: NamedDependency[Gateway],
    *,
    format_: Format = None,
    car_version: CarVersion = None,
    car_order: CarOrder = None,
    car_dups: CarDups = None,
    dag_scope: DagScope = None,
    entity_bytes: EntityBytes = None,
    filename: FileName = None,
    download: Download = False,
) -> Response[Any]:
    """Of published packages: a file, a page that lists a directory, a raw block or a CAR file.

    By the Trustless Gateway specification; Accept may name `application/vnd.ipld.raw` or `application/vnd.ipld.car`.
    The bytes are compared with the CID, of which the ETag is made.
    """
    options = CarOptions(car_version, car_order, car_dups, dag_scope, entity_bytes)
    return await _answer(request, gateway, (cid,), format_, options, filename, download=download)


@get("/ipfs/{cid:str}/{path:path}", summary="Content by a path below a CID", opt=ANYONE, operation_class=FileDownload)
async def read_content_by_path(
    request: ApiRequest,
    cid: CidText,
    path: Names,
    gateway: NamedDependency[Gateway],
    *,
    format_: Format = None,
    car_version: CarVersion = None,
    car_order: CarOrder = None,
    car_dups: CarDups = None,
    dag_scope: DagScope = None,
    entity_bytes: EntityBytes = None,
    filename: FileName = None,
    download: Download = False,
) -> Response[Any]:
    """As without a path. A CAR file also has the blocks that lead to what the path names."""
    options = CarOptions(car_version, car_order, car_dups, dag_scope, entity_bytes)
    names = tuple(part for part in path.parts if part != "/")
    return await _answer(request, gateway, (cid, *names), format_, options, filename, download=download)


async def _answer(
    request: ApiRequest,
    gateway: Gateway,
    path: tuple[str, ...],
    format_: Literal["raw", "car"] | None,
    options: CarOptions,
    filename: str | None,
    *,
    download: bool,
) -> Response[Any]:
    form = form_of(format_, request.headers.get("accept", ""), options)
    if path == (PROBE,):
        return probe_response(form)
    root = parsed_cid(path[0])
    dag = await gateway.open(root)
    answer = Answer(request, path, dag, await resolve(dag, root, path[1:]))
    if form == "raw":
        response = await raw_response(answer, filename)
    elif form == "file":
        response = await plain_response(answer, filename, download=download)
    else:
        response = await car_response(answer, form, filename)
    return response
