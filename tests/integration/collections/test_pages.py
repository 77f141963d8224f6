"""The public pages over HTTP: of published collections only, cached by their content; refusals are pages, too."""

import hashlib
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from services.collections.pages.rendering import PAGES
from shared.contracts.collections import CollectionPublished
from shared.eventstore import Context, StreamAppend
from tests.integration.collections.test_metadata import until_finished
from tests.support.apps.client import ALICE, Answer
from tests.support.apps.collections import SELLABLE, Api, two_steps
from tests.unit.collections.html_page import HtmlPage

EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


async def published(api: Api, editions: int = 1, **fields: Any) -> tuple[Any, str]:
    """A published collection, and the address of its page."""
    body = {"title": "Birds", "description": "Seen", "data": two_steps(), **SELLABLE, "editions": editions, **fields}
    collection = await api.create(body)
    job, _ = await api.make_artworks(collection, editions)
    assert (await api.post(f"/collections/{collection['id']}/publish", {"job_id": str(job)})).status == 200
    return collection, f"/c/{collection['id']}"


def assert_is_page(answer: Answer, status: int = 200) -> HtmlPage:
    assert (answer.status, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert answer.headers["content-security-policy"] == PAGES.policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    return HtmlPage(answer.raw)


async def test_a_published_collection_and_its_tokens_have_pages(api: Api):
    """As soon as publishing has answered, without a token, and at the address that their metadata has."""
    collection, path = await published(api, 2)
    page = assert_is_page(await api.get(path, None))
    assert {"Birds", "Seen", "Base", "0.05 ETH"} <= set(page.texts)
    api_path = f"/collections/{collection['id']}"
    assert [image["src"] for image in page.all("img")] == [f"{api_path}/tokens/{n}/thumbnail" for n in (1, 2)]
    document = (await api.get(f"{api_path}/metadata", None)).data
    assert document["external_link"].endswith(path)
    for number in (1, 2):
        token = assert_is_page(await api.get(f"{path}/{number}", None))
        assert f"Birds #{number}" in token.texts
        assert token.all("img")[0]["src"] == f"{api_path}/tokens/{number}/image"
        document = (await api.get(f"{api_path}/tokens/{number}.json", None)).body
        assert document["external_url"].endswith(f"{path}/{number}")
        assert f"{path}/{number}" in page.values("href")
    hexadecimal = await api.get(f"{path}/{2:064x}", None)
    assert hexadecimal.raw == (await api.get(f"{path}/2", None)).raw
    in_capitals = await api.get(f"/c/{collection['id'].upper()}", None)
    assert in_capitals.raw == (await api.get(path, None)).raw


async def test_a_page_that_the_client_has_is_not_sent_again(api: Api):
    """Its ETag is the sha256 of its content, which changes with what may change of a published collection."""
    collection, path = await published(api)
    for address in (path, f"{path}/1"):
        first = await api.get(address, None)
        tag = first.headers["etag"]
        assert tag == f'"{hashlib.sha256(first.raw).hexdigest()}"'
        assert first.headers["cache-control"] == "public, max-age=60"
        again = await api.get(address, None, headers={"If-None-Match": tag})
        assert (again.status, again.raw, again.headers["etag"]) == (304, b"", tag)
        head = await api.send("HEAD", address, None)
        assert (head.status, head.raw, head.headers["content-length"]) == (200, b"", str(len(first.raw)))
        edit = {"description": f"Edited at {address}"}
        await api.put(f"/projects/{collection['project_id']}/collections/{collection['id']}", edit)
        changed = await api.get(address, None, headers={"If-None-Match": tag})
        assert edit["description"] in assert_is_page(changed).texts


async def test_what_is_not_public_has_no_page(api: Api):
    """For its owner neither: a draft, an archived collection, an open preview. All are the same page."""
    draft = await api.create({"title": "Secret", "data": two_steps(), **SELLABLE})
    await api.make_artworks(draft)
    opened = await api.create({"title": "Secret", "data": two_steps()})
    await api.put(f"/collections/{opened['id']}/preview", {"enabled": True})
    withdrawn, path = await published(api, title="Secret")
    await api.post(f"/collections/{withdrawn['id']}/archive")
    addresses = [f"/c/{one['id']}" for one in (draft, opened, withdrawn)] + [f"/c/{uuid4()}"]
    missing = set()
    for address in [*addresses, *(f"{address}/1" for address in addresses)]:
        for reader in (None, ALICE):
            answer = await api.get(address, reader)
            assert_is_page(answer, 404)
            assert (answer.headers["cache-control"], "etag" in answer.headers) == ("no-cache", False)
            missing.add(answer.raw)
    assert len(missing) == 1
    assert b"Secret" not in missing.pop()
    await api.post(f"/collections/{withdrawn['id']}/restore")
    assert_is_page(await api.get(path, None))


async def test_other_addresses_below_a_collection_are_nowhere(api: Api):
    _, path = await published(api)
    rests = ["/0", "/2", "/x", "/-1", "/01", "/1.json", "/%20", "/" + "f" * 64, "/" + "9" * 18, "?page=2", "?page=0x"]
    answers = {rest: await api.get(path + rest, None) for rest in rests}
    assert {rest: answer.status for rest, answer in answers.items()} == {**dict.fromkeys(rests, 404), "?page=0x": 400}
    for answer in answers.values():
        assert_is_page(answer, answer.status)


async def test_what_is_no_id_is_nowhere_and_a_wrong_parameter_is_told_on_a_page(api: Api):
    _, path = await published(api)
    for name in ("x", "{0}", "1" * 32, f"{{{uuid4()}}}", uuid4().hex, "%C3%A9", "x" * 3000):
        assert_is_page(await api.get(f"/c/{name}", None), 404)
        assert_is_page(await api.get(f"/c/{name}/1", None), 404)
    for query in ("page=0", "page=-1", "page=x", "page=1&page=1", "q=1", f"page={2**70}", "page=<b>"):
        page = assert_is_page(await api.get(f"{path}?{query}", None), 400)
        assert "?q" in page.text or "?page" in page.text
        assert not page.all("b")
    stale = await api.get(path, None, headers={"If-Match": '"other"'})
    assert_is_page(stale, 412)
    assert (await api.post(path, {}, None)).code == (405, "METHOD_NOT_ALLOWED")


async def test_many_artworks_are_listed_in_pages(api: Api):
    """48 on each; every artwork is on one of them, in order."""
    collection, path = await published(api, 100)
    numbers = []
    for number, count in ((1, 48), (2, 48), (3, 4)):
        page = assert_is_page(await api.get(f"{path}?page={number}", None))
        links = [link["href"] or "" for link in page.all("a")]
        tokens = [int(link.rpartition("/")[2]) for link in links if link.startswith(f"{path}/")]
        assert len(tokens) == len(page.all("img")) == count
        numbers += tokens
        assert (f"{path}?page={number + 1}" in links) is (number < 3)
        back = assert_is_page(await api.get(f"{path}/{tokens[0]}", None))
        assert (path if number == 1 else f"{path}?page={number}") in back.values("href")
    assert numbers == list(range(1, 101))
    assert (await api.get(f"{path}?page=1", None)).raw == (await api.get(path, None)).raw
    assert_is_page(await api.get(f"{path}?page=4", None), 404)
    assert f"/collections/{collection['id']}/public" in page.values("href")


def preview_of(page: HtmlPage) -> str | None:
    """The path of the picture that link previews show."""
    (content,) = [meta["content"] or "" for meta in page.all("meta") if meta.get("property") == "og:image"]
    return urlsplit(content).path


async def test_link_previews_show_the_cover(api: Api):
    """That of now, on all pages of the list, as the metadata names it; without one, the first artwork of the page."""
    collection, path = await published(api, 50, cover_token=49)
    files = f"/collections/{collection['id']}/tokens"
    for page in (path, f"{path}?page=2"):
        assert preview_of(assert_is_page(await api.get(page, None))) == f"{files}/49/image"
    assert preview_of(assert_is_page(await api.get(f"{path}/2", None))) == f"{files}/2/image"
    address = f"/projects/{collection['project_id']}/collections/{collection['id']}"
    for cover, expected in ((2, f"{files}/2/image"), (None, f"{files}/1/thumbnail")):
        assert (await api.put(address, {"cover_token": cover})).status == 204
        assert preview_of(assert_is_page(await api.get(path, None))) == expected


async def test_texts_of_creators_are_texts(api: Api):
    odd = "</title><script>alert(1)</script> & \"quotes\" 'n' {{ 7 * 7 }}"
    collection, path = await published(api, title=odd, description=f"{odd} https://a.example/<b>")
    receivers = [{"address": EVM, "value": 5, "role": "creator", "name": "A & B"}]
    owners = f"/projects/{collection['project_id']}/collections/{collection['id']}"
    assert (await api.post(f"{owners}/receivers", {"receivers": receivers})).status < 300
    for address in (path, f"{path}/1"):
        page = assert_is_page(await api.get(address, None))
        assert odd in page.text
        assert not page.all("script")
        assert "A & B" in page.texts
        assert "https://a.example/" in [link["href"] for link in page.all("a")]


async def test_a_collection_that_an_early_release_published_has_pages(api: Api):
    """Its series is not recorded, so its files are not at their numbers: without a package, no picture can be shown."""
    collection = await api.create({"title": "Birds", "data": two_steps(), **SELLABLE})
    await api.make_artworks(collection)
    collection_id = UUID(collection["id"])
    event = CollectionPublished(
        collection_id, UUID(collection["project_id"]), ALICE, datetime.now(UTC).isoformat().replace("+00:00", "Z")
    )
    await api.store.append([StreamAppend(collection_id, collection["version"], [event])], Context(uuid4(), "test"))
    await until_finished(api, collection["id"], 1)
    for address in (f"/c/{collection_id}", f"/c/{collection_id}/1"):
        page = assert_is_page(await api.get(address, None))
        assert not page.all("img")
        assert "Birds" in page.texts
