"""The load of the fault suites notices answers that are older than what was written."""

import asyncio
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from litestar import Litestar, get, post, put

from shared.http import FromPath, JSONBody
from shared.stopping import stop
from tests.support.load import Load
from tests.support.patience import eventually
from tests.support.serving import serving


class Collections:
    """Answers as the API does; if it is `behind`, reads show what was there before the edit."""

    def __init__(self, *, behind: bool) -> None:
        self._behind = behind
        self._shown: dict[UUID, dict[str, Any]] = {}

    def app(self) -> Litestar:
        @post("/projects/collections")
        async def create(data: JSONBody[dict[str, Any]]) -> dict[str, Any]:
            collection = {"id": uuid4(), "project_id": UUID(int=1), "title": data["title"], "version": 1}
            self._shown[collection["id"]] = collection
            return {"data": collection}

        @put("/projects/{project_id:uuid}/collections/{collection_id:uuid}", status_code=204)
        async def edit(
            project_id: FromPath[UUID], collection_id: FromPath[UUID], data: JSONBody[dict[str, Any]]
        ) -> None:
            if not self._behind:
                self._shown[collection_id] |= {"title": data["title"], "version": 2}

        @get("/collections/{collection_id:uuid}")
        async def read(collection_id: FromPath[UUID]) -> dict[str, Any]:
            return {"data": self._shown[collection_id]}

        @post("/collections/{collection_id:uuid}/generations")
        async def generate(collection_id: FromPath[UUID]) -> dict[str, Any]:
            return {"data": {"job_id": str(collection_id)}}

        @get("/projects")
        async def projects() -> dict[str, Any]:
            return {"data": []}

        return Litestar([create, edit, read, generate, projects])


@pytest.mark.parametrize("behind", [False, True])
async def test_a_read_that_is_older_than_the_write_before_it_is_wrong(*, behind: bool) -> None:
    async with serving(Collections(behind=behind).app()) as url:
        running: Any = SimpleNamespace(url=url, token=lambda *_, **__: "t")
        users = Load(running, [], generations=1, pause=0, url=url, open_jobs=None)
        user = asyncio.create_task(users.work(uuid4()))
        await eventually(lambda: users.tally.answered["list"] >= 4, "four turns")
        await stop(user)
    assert bool(users.tally.wrong) == behind, users.tally
    if behind:
        assert "version 1, 'Tides 2' after version 2 of {'Tides 2 at dusk'}" in users.tally.wrong[0]
