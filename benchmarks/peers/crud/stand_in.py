"""As server.mjs, for machines without Node: aiohttp and psycopg doing the same rows in one transaction."""

import functools
import os
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID, uuid4

import msgspec
import uvloop
from aiohttp import web
from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

SELECT_DEFAULT_PROJECT = "select id from projects where owner = %s and is_default"
INSERT_DEFAULT_PROJECT = """
insert into projects (owner, name, is_default) values (%s, 'My first project', true)
on conflict (owner) where is_default do nothing"""
INSERT_COMPONENTS = "insert into components (collection_id) select %s from generate_series(1, %s) returning id"
INSERT_COLLECTION = """
insert into collections (id, project_id, title, description, data) values (%s, %s, %s, %s, %s) returning *"""
INSERT_PREVIEW = "insert into previews (collection_id, enabled) values (%s, false)"
SELECT_COLLECTION = "select * from collections where id = %s"

Row = dict[str, Any]
Pool = AsyncConnectionPool[AsyncConnection[Row]]
POOL: web.AppKey[Pool] = web.AppKey("pool")
routes = web.RouteTableDef()


def renumbered(value: Any, component_of: Mapping[Any, int]) -> Any:
    """A copy of a payload in which every `{"$ref": step}` names the step's component instead."""
    if isinstance(value, list):
        return [renumbered(item, component_of) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: component_of[item] if key == "$ref" and item in component_of else renumbered(item, component_of)
        for key, item in value.items()
    }


async def default_project(connection: AsyncConnection[Row], owner: UUID) -> UUID:
    while True:
        project = await (await connection.execute(SELECT_DEFAULT_PROJECT, (owner,))).fetchone()
        if project is not None:
            return UUID(str(project["id"]))
        await connection.execute(INSERT_DEFAULT_PROJECT, (owner,))


async def make_collection(connection: AsyncConnection[Row], owner: UUID, body: Row) -> Row:
    collection, data = uuid4(), body.get("data", {})
    steps = data.get("steps", [])
    project = await default_project(connection, owner)
    components = await (await connection.execute(INSERT_COMPONENTS, (collection, len(steps)))).fetchall()
    component_of = {step["id"]: row["id"] for step, row in zip(steps, components, strict=True)}
    stored = [
        {
            **step,
            "id": component_of[step["id"]],
            "fromId": step["id"],
            "nodePayload": renumbered(step["nodePayload"], component_of),
        }
        for step in steps
    ]
    values = (collection, project, body["title"], body.get("description"), Jsonb({**data, "steps": stored}))
    row = await (await connection.execute(INSERT_COLLECTION, values)).fetchone()
    assert row is not None
    await connection.execute(INSERT_PREVIEW, (collection,))
    return row


def answer(row: Row | None, status: int) -> web.Response:
    body = msgspec.json.encode({"data": row, "error": None if row else "not found"})
    return web.Response(body=body, status=status, content_type="application/json")


@routes.post("/projects/collections")
async def create(request: web.Request) -> web.Response:
    body = await request.json()
    async with request.app[POOL].connection() as connection:
        row = await make_collection(connection, UUID(request.headers["x-user"]), body)
    return answer(row, 201)


@routes.get("/collections/{id}")
async def read(request: web.Request) -> web.Response:
    async with request.app[POOL].connection() as connection:
        row = await (await connection.execute(SELECT_COLLECTION, (request.match_info["id"],))).fetchone()
    return answer(row, 200 if row else 404)


async def pooled(app: web.Application) -> AsyncIterator[None]:
    make = functools.partial(
        AsyncConnectionPool, os.environ["DATABASE_URL"], min_size=16, kwargs={"row_factory": dict_row}
    )
    async with make(open=False) as pool:
        app[POOL] = pool
        yield


async def application() -> web.Application:
    app = web.Application()
    app.add_routes(routes)
    app.cleanup_ctx.append(pooled)
    return app


if __name__ == "__main__":
    uvloop.install()
    web.run_app(application(), host="127.0.0.1", port=int(os.environ["PORT"]), print=None, access_log=None)
