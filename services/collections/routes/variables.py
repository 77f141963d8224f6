"""A collection's variables as a CSV table, for spreadsheets."""

import asyncio
from functools import partial
from uuid import UUID

from litestar import Response, get, put
from litestar.di import NamedDependency

from services.collections.domain.collection import editing
from services.collections.domain.collection.editing import ReplaceVariables
from services.collections.domain.collection.variable_table import table_of, variables_of
from services.collections.queries.collection import Queries
from services.collections.routes import examples
from services.collections.routes.answers import CollectionChange
from services.collections.routes.documentation import documented
from shared.contracts.problem import Detail, Problem, invalid
from shared.http import ApiRequest, FromPath, User, versioned
from shared.http.positions import WITHOUT_TABLES
from shared.http.request import refuse_charset

CSV = "text/csv; charset=utf-8"
MAX_TABLE = 4 * 1024 * 1024
"""Bytes. The table of the largest collection, as `GET` returns it, is smaller."""


@get(
    "/collections/{collection_id:uuid}/variables.csv",
    summary="A collection's variables as a table",
    opt=WITHOUT_TABLES,
    media_type=CSV,
    operation_class=documented(response=examples.VARIABLES_CSV),
)
async def get_variables(
    collection_id: FromPath[UUID], principal: User, queries: NamedDependency[Queries], request: ApiRequest
) -> Response[bytes | None]:
    """For a spreadsheet. A `PUT` of the same table changes nothing."""
    collection = await queries.owned_collection(principal.user_id, collection_id)
    table = (await asyncio.to_thread(table_of, collection.data.get("variables") or [])).encode()
    headers = {"content-type": CSV, "content-disposition": 'attachment; filename="variables.csv"'}
    return versioned(request, table, collection.version, "csv", headers=headers)


@put(
    "/collections/{collection_id:uuid}/variables.csv",
    summary="Set the variables from a table",
    status_code=204,
    request_max_body_size=MAX_TABLE,
    operation_class=documented(request=examples.VARIABLES_CSV),
)
async def set_variables(
    collection_id: FromPath[UUID], request: ApiRequest, principal: User, change: NamedDependency[CollectionChange]
) -> Response[None]:
    """Replaces all variables by a text/csv table of the form that `GET` returns."""
    command = ReplaceVariables(principal.user_id, await asyncio.to_thread(variables_of, await _csv(request)))
    return await change.apply(collection_id, partial(editing.decide, command), large=True)


async def _csv(request: ApiRequest) -> str:
    if request.content_type[0] not in ("text/csv", ""):
        message = "must be text/csv"
        raise Problem("UNSUPPORTED_MEDIA_TYPE", f"Content-Type {message}", Detail("header:Content-Type", message))
    refuse_charset(request)
    try:
        return (await request.body()).decode()
    except UnicodeDecodeError as error:
        message = "the table is not UTF-8"
        raise invalid(message, Detail("", message)) from error
