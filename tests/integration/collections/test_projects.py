"""Projects over HTTP."""

import asyncio

from tests.support.apps.client import ALICE, BOB
from tests.support.apps.collections import Api


async def test_a_project_is_created_and_listed(api: Api):
    """With the documented members, for its user only."""
    answer = await api.post("/projects", {"name": "Birds"})
    assert answer.status == 201
    assert set(answer.data) == {"id", "name", "user_id", "is_default", "version", "created_at"}
    assert (answer.data["name"], answer.data["user_id"], answer.data["is_default"]) == ("Birds", str(ALICE), False)
    assert (await api.get("/projects")).data == [answer.data]
    assert (await api.get("/projects", BOB)).data == []


async def test_concurrent_creations_create_one_default_project(api: Api):
    """Twenty concurrent first collections of a user are in one project."""
    collections = await asyncio.gather(*(api.create() for _ in range(20)))
    (project,) = (await api.get("/projects")).data
    assert project["is_default"]
    assert project["name"] == "Default"
    assert {item["project_id"] for item in collections} == {project["id"]}
    assert len({item["id"] for item in collections}) == 20


async def test_untitled_projects_that_were_renamed_keep_their_numbers(api: Api):
    """However many they are: the next one has the first number that none of them had."""
    for number in range(1, 24):
        project = (await api.post("/projects/untitled")).data
        assert project["name"] == ("Untitled" if number == 1 else f"Untitled {number}")
        await api.put(f"/projects/{project['id']}", {"name": "Birds"})


async def test_untitled_projects_are_numbered(api: Api):
    """Also by concurrent requests."""
    answers = await asyncio.gather(*(api.post("/projects/untitled") for _ in range(5)))
    names = {"Untitled", *(f"Untitled {number}" for number in range(2, 6))}
    assert {item.data["name"] for item in answers} == names
    assert (await api.post("/projects/untitled")).data["name"] == "Untitled 6"
    assert (await api.post("/projects/untitled", user=BOB)).data["name"] == "Untitled"


async def test_repeated_requests_are_idempotent(api: Api):
    """With one Idempotency-Key, a project is created once; so is an untitled one."""
    for path, body in (("/projects", {"name": "Birds"}), ("/projects/untitled", {})):
        first = await api.post(path, body, headers={"Idempotency-Key": "k"})
        again = await api.post(path, body, headers={"Idempotency-Key": "k"})
        assert again.data == first.data
    assert len((await api.get("/projects")).data) == 2


async def test_the_next_page_begins_where_the_last_one_ended(api: Api):
    """Every project once, in the order of their creation."""
    projects = [(await api.post("/projects", {"name": f"P{number}"})).data for number in range(5)]
    items, query = [], "?limit=2"
    while True:
        page = await api.get(f"/projects{query}")
        items += page.data
        if page.body["next_cursor"] is None:
            break
        query = f"?limit=2&cursor={page.body['next_cursor']}"
    assert items == projects


async def test_a_project_needs_a_name(api: Api):
    for body, pointer in (({}, "/name"), ({"name": " "}, "/name"), ({"name": 5}, "/name")):
        refused = await api.post("/projects", body)
        assert refused.code == (400, "VALIDATION_FAILED")
        assert refused.pointers == [pointer]
    assert (await api.get("/projects")).data == []
