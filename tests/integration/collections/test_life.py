"""Reading, editing, publishing and archiving collections over HTTP."""

import asyncio
from uuid import UUID, uuid4

from tests.support.apps.client import BOB
from tests.support.apps.collections import SELLABLE, Api, collections_service, two_steps


def path_of(collection) -> str:
    return f"/projects/{collection['project_id']}/collections/{collection['id']}"


async def test_an_edit_changes_the_fields_in_its_body(api: Api):
    """204 with the new ETag; later reads have the change."""
    collection = await api.create({"title": "Birds", "description": "Many", "data": two_steps()})
    edited = await api.put(path_of(collection), {"title": "Fish", "editions": 10, "price": "0.10"})
    assert (edited.status, edited.raw) == (204, b"")
    view = await api.get(f"/collections/{collection['id']}")
    assert view.headers["etag"] == edited.headers["etag"] == '"5"'
    other_fields = ("description", "data", "created_at")
    assert {name: view.data[name] for name in other_fields} == {name: collection[name] for name in other_fields}
    assert (view.data["title"], view.data["editions"], view.data["price"]) == ("Fish", 10, "0.1")
    assert view.data["updated_at"] > collection["updated_at"]


async def test_an_edit_is_recorded_as_domain_events(api: Api):
    collection = await api.create({"title": "Birds"})
    await api.put(path_of(collection), {"title": "Fish", "blockchain": "TEZOS"})
    recorded = [event.type for event in await api.store.read_all()]
    assert recorded[-2:] == ["collection_retitled.v1", "chain_chosen.v1"]


async def test_revised_instructions_keep_their_components(api: Api):
    collection = await api.create({"data": two_steps()})
    data = collection["data"]
    data["steps"].append({"id": 3, "nodeName": "caption", "nodePayload": {"image": {"$ref": data["steps"][1]["id"]}}})
    assert (await api.put(path_of(collection), {"data": data})).status == 204
    steps = (await api.get(f"/collections/{collection['id']}")).data["data"]["steps"]
    assert [step["id"] for step in steps[:2]] == [step["id"] for step in data["steps"][:2]]
    assert steps[2]["fromId"] == 3
    assert steps[2]["nodePayload"]["image"]["$ref"] == steps[1]["id"]


async def test_an_edit_with_an_outdated_if_match_is_refused(api: Api):
    """412 for an outdated version; without If-Match, the edit is applied."""
    collection = await api.create({"title": "Birds"})
    path, tag = path_of(collection), {"If-Match": '"2"'}
    assert (await api.put(path, {"title": "Fish"}, headers=tag)).status == 204
    assert (await api.put(path, {"title": "Cats"}, headers=tag)).code == (412, "VERSION_CONFLICT")
    assert (await api.get(f"/collections/{collection['id']}")).data["title"] == "Fish"
    assert (await api.put(path, {"title": "Cats"})).status == 204
    assert (await api.put(path, {"title": "Dogs"}, BOB, headers=tag)).code == (404, "NOT_FOUND")


async def test_concurrent_edits_lose_no_update(api: Api):
    """Of writers with the same If-Match one succeeds; edits without If-Match all do."""
    collection = await api.create({"title": "Birds"})
    writes = [api.put(path_of(collection), {"title": f"T{n}"}, headers={"If-Match": '"2"'}) for n in range(10)]
    assert sorted(answer.status for answer in await asyncio.gather(*writes)) == [204, *[412] * 9]
    await asyncio.gather(*(api.put(path_of(collection), {"description": f"D{n}"}) for n in range(10)))
    history = await api.store.read_stream(UUID(collection["id"]))
    assert [event.version for event in history] == list(range(1, 14))
    assert {entry.event.description for entry in history[-10:]} == {f"D{n}" for n in range(10)}


async def test_a_repeated_edit_with_its_if_match_gets_the_etag_of_the_first(api: Api):
    """As after a lost answer: it is applied once, and answered with the version that it led to, not a later one."""
    collection = await api.create({"title": "a"})
    path, based = path_of(collection), {"If-Match": '"2"'}
    first = await api.put(path, {"title": "b"}, headers=based)
    assert (first.status, first.headers["etag"]) == (204, '"3"')
    assert (await api.put(path, {"title": "c"})).status == 204
    again = await api.put(path, {"title": "b"}, headers=based)
    assert (again.status, again.headers["etag"]) == (204, '"3"')
    assert (await api.put(path, {"title": "d"}, headers=based)).status == 412
    assert (await api.get(f"/collections/{collection['id']}")).data["title"] == "c"


async def test_all_forms_of_if_match(api: Api):
    """Lists, `*`, If-None-Match; ETags in any other form match nothing."""
    collection = await api.create({"title": "a"})
    for headers, status in (
        ({"If-Match": '"1", "2"'}, 204),
        ({"If-Match": '"03"'}, 412),
        ({"If-Match": 'W/"3"'}, 412),
        ({"If-Match": '"3-csv"'}, 204),
        ({"If-Match": "*"}, 204),
        ({"If-None-Match": "*"}, 412),
        ({"If-None-Match": '"5"'}, 412),
        ({"If-None-Match": '"1"'}, 204),
    ):
        answer = await api.put(path_of(collection), {"title": str(headers)}, headers=headers)
        assert answer.status == status, headers


async def test_representations_of_a_version_have_different_etags(api: Api):
    """Of the owner, of other users, of the current collection, and of the table of variables."""
    collection = await api.create({"title": "Birds", "data": two_steps(), **SELLABLE})
    path = f"/collections/{collection['id']}"
    await api.publish(collection)
    tags = [
        (await api.get(path)).headers["etag"],
        (await api.get(path, BOB)).headers["etag"],
        (await api.send("HEAD", f"{path}/variables.csv")).headers["etag"],
    ]
    assert (await api.post(f"{path}/current")).status == 200
    tags.append((await api.get(path)).headers["etag"])
    assert tags == ['"3"', '"3-public"', '"3-csv"', '"3-current"']
    assert (await api.get(path, headers={"If-None-Match": '"3"'})).status == 200
    assert (await api.get(path, headers={"If-None-Match": '"3-current"'})).status == 304


async def test_require_if_match_makes_if_match_mandatory(database, nats_url, tmp_path):
    """An edit without it is answered with 428."""
    async with collections_service(database, nats_url, tmp_path, require_if_match=True) as api:
        collection = await api.create()
        assert (await api.put(path_of(collection), {"title": "x"})).code == (428, "PRECONDITION_REQUIRED")
        assert (await api.put(path_of(collection), {"title": "x"}, headers={"If-Match": '"2"'})).status == 204


async def test_invalid_edits_are_refused_and_change_nothing(api: Api):
    collection = await api.create({"editions": 5})
    head = await api.store.head()
    for body, pointer in (
        ({"editions": -1}, "/editions"),
        ({"batch_max_tokens": 6}, "/batch_max_tokens"),
        ({"data": {"version": "v2", "steps": 5}}, "/data/steps"),
    ):
        refused = await api.put(path_of(collection), body)
        assert refused.code == (400, "VALIDATION_FAILED")
        assert refused.pointers == [pointer]
    assert await api.store.head() == head


async def test_another_users_draft_is_not_found(api: Api):
    """By every endpoint, as if the collection did not exist."""
    collection = await api.create()
    path, folder = f"/collections/{collection['id']}", f"/projects/{collection['project_id']}"
    head = await api.store.head()
    for answer in (
        await api.get(path, BOB),
        await api.get(f"{path}/public", None),
        await api.get(f"{folder}/collections", BOB),
        await api.get(f"{folder}/collections/current", BOB),
        await api.put(path_of(collection), {"title": "Mine"}, BOB),
        await api.post(f"{path}/publish", user=BOB),
        await api.post(f"{path}/archive", user=BOB),
        await api.post(f"{path}/restore", user=BOB),
        await api.get(f"/collections/{uuid4()}"),
    ):
        assert answer.code == (404, "NOT_FOUND")
    assert (await api.get("/collections", BOB)).data == []
    assert await api.store.head() == head


async def test_a_published_collection_is_public(api: Api):
    """Without a token, too; its `data` is visible to its owner only."""
    collection = await api.create({"title": "Birds", "data": two_steps(), **SELLABLE})
    published = await api.publish(collection)
    assert published.status == 200
    assert published.data["status"] == "published"
    assert published.data["publish_date"].endswith("Z")
    assert published.headers["etag"] == '"3"'
    for user in (BOB, None):
        (listed,) = (await api.get("/collections", user)).data
        assert listed["id"] == collection["id"]
    view = await api.get(f"/collections/{collection['id']}/public", None)
    assert view.data.pop("packages") == []
    assert view.data == (await api.get(f"/collections/{collection['id']}", BOB)).data
    assert published.data["series"]["tokens"] == 1
    assert view.data == {name: published.data[name] for name in view.data} | {"data": None}


async def test_lists_are_filtered(api: Api):
    """Published collections by chain, a project's collections by status; also on further pages."""
    ids = {}
    for chain in ("BASE", "TEZOS", "BASE"):
        collection = await api.create({"title": chain, **SELLABLE, "blockchain": chain})
        await api.publish(collection)
        ids.setdefault(chain, []).append(collection["id"])
    draft = await api.create()
    assert [item["id"] for item in (await api.get("/collections?blockchain=TEZOS", None)).data] == ids["TEZOS"]
    first = await api.get("/collections?blockchain=BASE&limit=1")
    second = await api.get(f"/collections?blockchain=BASE&limit=1&cursor={first.body['next_cursor']}")
    assert [item["id"] for item in first.data + second.data] == ids["BASE"][::-1]
    assert second.body["next_cursor"] is None
    listed = f"/projects/{draft['project_id']}/collections"
    assert [item["id"] for item in (await api.get(f"{listed}?status=draft")).data] == [draft["id"]]
    assert len((await api.get(f"{listed}?status=published")).data) == 3
    for wrong in (f"{listed}?status=sold", "/collections?blockchain=SOLANA"):
        assert (await api.get(wrong)).code == (400, "VALIDATION_FAILED")


async def test_publishing_is_idempotent(api: Api):
    collection = await api.create(SELLABLE)
    first = await api.publish(collection)
    again = await api.post(f"/collections/{collection['id']}/publish")
    assert first.data == again.data


async def test_an_archived_collection_is_hidden_and_unchangeable(api: Api):
    """It is not public, not in its project's list, and refuses changes, until it is restored."""
    collection = await api.create(SELLABLE)
    path, listed = f"/collections/{collection['id']}", f"/projects/{collection['project_id']}/collections"
    await api.publish(collection)
    assert (await api.post(f"{path}/archive")).data["archived"] is True
    assert (await api.get("/collections")).data == (await api.get(listed)).data == []
    assert [item["id"] for item in (await api.get(f"{listed}?archived=true")).data] == [collection["id"]]
    assert (await api.get(path, BOB)).code == (404, "NOT_FOUND")
    assert (await api.put(path_of(collection), {"title": "x"})).code == (409, "CONFLICT")
    assert (await api.post(f"{path}/restore")).data["archived"] is False
    assert [item["id"] for item in (await api.get("/collections")).data] == [collection["id"]]


async def test_if_none_match_with_the_current_etag_is_not_modified(api: Api):
    collection = await api.create()
    path = f"/collections/{collection['id']}"
    tag = (await api.get(path)).headers["etag"]
    unchanged = await api.get(path, headers={"If-None-Match": tag})
    assert (unchanged.status, unchanged.raw, unchanged.headers["etag"]) == (304, b"", tag)


async def test_a_projects_list_pages_newest_first(api: Api):
    collections = [(await api.create({"title": f"C{n}"})) for n in range(5)]
    path, titles, query = f"/projects/{collections[0]['project_id']}/collections", [], "?limit=2"
    while True:
        page = await api.get(f"{path}{query}")
        titles += [item["title"] for item in page.data]
        if page.body["next_cursor"] is None:
            break
        query = f"?limit=2&cursor={page.body['next_cursor']}"
    assert titles == ["C4", "C3", "C2", "C1", "C0"]
    assert (await api.get(f"{path}?cursor=abc")).pointers == ["?cursor"]
