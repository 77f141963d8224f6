"""Previews, the feed, remixes, custody, receivers and current collections over HTTP."""

from tests.support.apps.client import ALICE, BOB
from tests.support.apps.collections import Api, two_steps

EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
OPEN = {"enabled": True, "max_generations": 5, "is_remixable": True, "paid_by": "owner"}


async def opened(api: Api, **preview):
    collection = await api.create({"title": "Birds", "description": "Many", "data": two_steps()})
    answer = await api.put(f"/collections/{collection['id']}/preview", OPEN | preview)
    assert answer.data["preview"] == OPEN | preview
    return collection


async def test_the_feed_has_collections_with_an_open_preview(api: Api):
    """Without a token, with the variables that a visitor may set, and without `data`."""
    collection = await opened(api)
    await api.create({"title": "Closed"})
    (item,) = (await api.get("/feed", None)).data
    assert (item["id"], item["title"], item["is_remixable"]) == (collection["id"], "Birds", True)
    assert item["project"] == {"name": "Default", "user_id": str(ALICE)}
    assert item["variables"] == [{"name": "style", "type": "pick", "description": None, "options": ["Noir"]}]
    assert "data" not in item
    assert (item["max_generations"], item["paid_by"]) == (5, "owner")


OWNERS_ONLY = {
    "archived",
    "encryption_enabled",
    "is_current",
    "project_id",
    "scheduled_for",
    "social_identifier",
    "social_org",
}
TERMS_OF_SALE = {"blockchain": "BASE", "editions": 2, "price": "0.05", "batch_mint_enabled": True}


async def test_others_see_of_a_collection_only_what_is_meant_for_them(api: Api):
    """Of a draft nothing of its sale; of neither what an owner keeps: each member is named in the public view."""
    original = await opened(api)
    account = {"social_org": "farcaster", "social_identifier": "carol"}
    body = {"template_collection_id": original["id"], "overrides": TERMS_OF_SALE, "collection_preview": OPEN} | account
    draft = (await api.post("/collections/custodial/from-template", body)).data
    path = f"/collections/{draft['id']}"
    receivers = {"receivers": [{"address": EVM, "value": 5, "type": "creator"}]}
    assert (await api.post(f"/projects/{draft['project_id']}{path}/receivers", receivers)).status == 200
    for view in ((await api.get(path, BOB)).data, (await api.get(f"{path}/public", None)).data):
        assert draft.keys() - view.keys() == OWNERS_ONLY
        assert (view["title"], view["is_custodial"], view["preview"]) == (draft["title"], True, OPEN)
        assert {name: view[name] for name in TERMS_OF_SALE} == dict.fromkeys(TERMS_OF_SALE) | {
            "batch_mint_enabled": False
        }
        assert (view["receivers"], view["data"]) == ([], None)
    mine = (await api.get(path)).data
    assert (mine["social_identifier"], mine["price"], len(mine["receivers"])) == ("carol", "0.05", 1)


async def test_a_collection_with_a_closed_preview_is_not_in_the_feed(api: Api):
    collection = await opened(api)
    await api.put(f"/collections/{collection['id']}/preview", {"enabled": False})
    assert (await api.get("/feed")).data == []
    assert (await api.get(f"/collections/{collection['id']}", BOB)).code == (404, "NOT_FOUND")


async def test_an_invalid_preview_is_refused(api: Api):
    collection = await api.create()
    path = f"/collections/{collection['id']}/preview"
    for body, pointer in (
        ({"max_generations": 0}, "/max_generations"),
        ({"enabled": "yes"}, "/enabled"),
        ({"paid_by": "nobody"}, "/paid_by"),
    ):
        assert (await api.put(path, body)).pointers == [pointer]
    assert (await api.put(path, {"enabled": True}, BOB)).code == (404, "NOT_FOUND")


async def test_a_template_becomes_a_collection_in_custody_with_other_values(api: Api):
    """For a user who may remix it; the same request again answers the same collection."""
    original = await opened(api)
    body = {
        "template_collection_id": original["id"],
        "social_org": "farcaster",
        "social_identifier": "carol",
        "overrides": {"title": "Carol's birds", "price": 0.05, "data.steps[0].nodePayload.prompt": "birds for Carol"},
        "collection_preview": {"enabled": True, "max_generations": 1},
    }
    path, key = "/collections/custodial/from-template", {"Idempotency-Key": "once"}
    answer = await api.send("POST", path, BOB, json=body, headers=key)
    assert answer.status == 201, answer.body
    draft = answer.data
    assert (draft["title"], draft["description"], draft["price"]) == ("Carol's birds", "Many", "0.05")
    assert (draft["user_id"], draft["forked_from"], draft["is_custodial"]) == (str(BOB), original["id"], True)
    assert draft["preview"] == OPEN | {"max_generations": 1, "is_remixable": False, "paid_by": "visitor"}
    assert [step["nodePayload"].get("prompt") for step in draft["data"]["steps"]] == ["birds for Carol", None]
    assert (await api.send("POST", path, BOB, json=body, headers=key)).data["id"] == draft["id"]
    for overrides, pointer in (
        ({"title": 5}, "/overrides/title"),
        ({"data.steps[0].nodePayload.promt": "x"}, "/overrides/data.steps[0].nodePayload.promt"),
        ({"cover_image_url": {"$fetch": "https://art.example/a.png"}}, "/overrides/cover_image_url/$fetch"),
    ):
        refused = await api.send("POST", path, BOB, json=body | {"overrides": overrides})
        assert refused.pointers == [pointer]
    await api.put(f"/collections/{original['id']}/preview", {"is_remixable": False})
    assert (await api.send("POST", path, BOB, json=body)).code == (400, "VALIDATION_FAILED")
    await api.put(f"/collections/{original['id']}/preview", {"enabled": False})
    assert (await api.send("POST", path, BOB, json=body)).code == (404, "NOT_FOUND")


async def test_a_remix_is_a_draft_with_new_components(api: Api):
    """One append with its preview and the default project; it shares no component with the original."""
    original = await opened(api)
    head = await api.store.head()
    remixed = await api.send("POST", f"/collections/{original['id']}/remix", BOB)
    assert remixed.status == 201
    fork = remixed.data
    assert (fork["title"], fork["forked_from"], fork["status"]) == ("Fork of Birds", original["id"], "draft")
    assert (fork["user_id"], fork["is_custodial"]) == (str(BOB), False)
    theirs = {step["id"] for step in original["data"]["steps"]}
    assert {step["fromId"] for step in fork["data"]["steps"]} == theirs
    assert not {step["id"] for step in fork["data"]["steps"]} & theirs
    recorded = [event.type for event in await api.store.read_all(head)]
    assert recorded == ["collection_created.v1", "preview_created.v1", "project_created.v1"]


async def test_a_remix_is_idempotent(api: Api):
    original = await opened(api)
    request = {"user": BOB, "headers": {"Idempotency-Key": "r"}}
    first = await api.post(f"/collections/{original['id']}/remix", **request)
    assert (await api.post(f"/collections/{original['id']}/remix", **request)).data == first.data


async def test_a_remix_of_a_collection_that_is_not_remixable_is_refused(api: Api):
    closed, visible = await api.create(), await opened(api, is_remixable=False)
    head = await api.store.head()
    assert (await api.post(f"/collections/{closed['id']}/remix", user=BOB)).code == (404, "NOT_FOUND")
    assert (await api.post(f"/collections/{visible['id']}/remix", user=BOB)).code == (400, "VALIDATION_FAILED")
    assert await api.store.head() == head


async def test_a_remix_in_custody_is_transferred(api: Api):
    """It moves to the new owner's project; the previous owner gets 404."""
    original = await opened(api)
    path = f"/collections/{original['id']}/remix"
    refused = await api.post(path, {"is_custodial": True, "social_org": "myspace", "social_identifier": "carol"})
    assert refused.pointers == ["/social_org"]
    assert (await api.post(path, {"is_custodial": True})).pointers == ["/social_org", "/social_identifier"]
    remix = (await api.post(path, {"is_custodial": True, "social_org": "lens", "social_identifier": "carol"})).data
    assert (remix["is_custodial"], remix["social_org"], remix["social_identifier"]) == (True, "lens", "carol")
    handed = (await api.post(f"/collections/{remix['id']}/custody", {"user_id": str(BOB)})).data
    assert (handed["user_id"], handed["is_custodial"], handed["social_org"]) == (str(BOB), False, None)
    (project,) = (await api.get("/projects", BOB)).data
    assert handed["project_id"] == project["id"]
    assert (await api.get(f"/collections/{remix['id']}")).code == (404, "NOT_FOUND")
    assert (await api.get(f"/collections/{remix['id']}", BOB)).data == handed
    again = await api.post(f"/collections/{remix['id']}/custody", {"user_id": str(ALICE)}, BOB)
    assert again.code == (409, "CONFLICT")


async def test_receivers_share_the_sales(api: Api):
    collection = await api.create({"blockchain": "BASE"})
    path = f"/projects/{collection['project_id']}/collections/{collection['id']}/receivers"
    body = {"receivers": [{"address": EVM.lower(), "value": 97.5, "type": "creator"}]}
    recorded = {"type": "creator", "purpose": "sale", "name": None, "role": "creator"}
    assert (await api.post(path, body)).data["receivers"] == [{"address": EVM, "value": "97.5", **recorded}]
    body["receivers"].append({"address": "tz1VSUr8wwNhLAzempoch5d6hLRiTh8Cjcjb", "value": "3", "type": "x"})
    assert (await api.post(path, body)).pointers == ["/receivers/1/address"]
    assert (await api.post(path, {"receivers": []}, BOB)).code == (404, "NOT_FOUND")


async def test_a_project_has_one_current_collection(api: Api):
    first, second = await api.create(), await api.create()
    path, tags = f"/projects/{first['project_id']}/collections/current", []
    assert (await api.get(path)).code == (404, "NOT_FOUND")
    for chosen, other in ((first, second), (second, first)):
        assert (await api.post(f"/collections/{chosen['id']}/current")).data["is_current"] is True
        assert (await api.get(path)).data["id"] == chosen["id"]
        assert (await api.get(f"/collections/{other['id']}")).data["is_current"] is False
        tags.append((await api.get(path)).headers["etag"])
        assert (await api.get(path, headers={"If-None-Match": tags[-1]})).status == 304
    assert tags[0] != tags[1], "both are at the same version"
    assert (await api.get(path, headers={"If-None-Match": tags[0]})).status == 200
    assert (await api.post(f"/collections/{first['id']}/current", user=BOB)).code == (404, "NOT_FOUND")


async def test_a_project_is_renamed_by_its_owner(api: Api):
    project = (await api.post("/projects", {"name": "Birds"})).data
    renamed = (await api.put(f"/projects/{project['id']}", {"name": "Fish"})).data
    assert renamed == project | {"name": "Fish"}
    assert (await api.put(f"/projects/{project['id']}", {"name": "Mine"}, BOB)).code == (404, "NOT_FOUND")
