"""Reading files: by their owner and by the workers of their job, whole, in ranges, or not again."""

from uuid import UUID

import pytest_asyncio

from services.storage.domain.ranges import MAX_RANGES
from tests.support.apps.client import ALICE, BOB
from tests.support.apps.storage import Api, sha256
from tests.support.byte_ranges import parts_of

CONTENT = bytes(range(256)) * 40


@pytest_asyncio.fixture
async def content(api: Api) -> str:
    """The path of a stored file of Alice's."""
    asset = (await api.upload(CONTENT)).data
    return f"/assets/{asset['id']}/content"


async def test_an_owner_reads_the_file(api: Api, content: str):
    answer = await api.get(content)
    assert (answer.status, answer.body) == (200, CONTENT)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["etag"] == f'"{sha256(CONTENT)}"'


async def test_a_file_of_a_user_never_runs_as_a_page_of_ours(api: Api):
    asset = (await api.upload(b"<script>alert(1)</script>", "a.html", content_type="text/html")).data
    headers = (await api.get(f"/assets/{asset['id']}/content")).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in headers["content-security-policy"]


async def test_head_says_what_get_would_without_the_bytes(api: Api, content: str):
    got = await api.get(content)
    head = await api.ask("HEAD", content, api.users.bearer(ALICE))
    assert (head.status, head.body) == (200, b"")
    for name in ("content-length", "content-type", "etag", "accept-ranges"):
        assert head.headers[name] == got.headers[name]


async def test_head_has_no_ranges(api: Api, content: str):
    """Range is defined for GET alone."""
    head = await api.ask("HEAD", content, {**api.users.bearer(ALICE), "range": "bytes=0-9"})
    assert (head.status, head.headers["content-length"]) == (200, str(len(CONTENT)))
    assert "content-range" not in head.headers


async def test_if_match_on_content(api: Api, content: str):
    """The file as it is, or 412: weak tags match nothing."""
    tag = (await api.get(content)).headers["etag"]
    for if_match, status in ((tag, 200), (f'"x", {tag}', 200), ("*", 200), ('"x"', 412), (f"W/{tag}", 412)):
        assert (await api.get(content, if_match=if_match)).status == status


async def test_a_file_keeps_its_own_charset(api: Api):
    """It is answered with the type that it was sent with, and with no other one added."""
    for sent in ("text/plain; charset=shift_jis", "text/plain", "text/html; charset=utf-8"):
        asset = (await api.upload(sent.encode(), f"{len(sent)}.txt", content_type=sent)).data
        assert asset["mime_type"] == sent
        assert (await api.get(f"/assets/{asset['id']}/content")).headers["content-type"] == sent


async def test_a_key_stands_for_one_file(api: Api):
    """The same again is the same asset; another body, name or type is an error, and nothing more is stored."""
    headers = {**api.users.bearer(ALICE), "idempotency-key": "k", "x-filename": "a.png", "content-type": "image/png"}
    first = await api.ask("POST", "/assets", headers, data=b"one")
    again = await api.ask("POST", "/assets", headers, data=b"one")
    assert (first.status, again.status, again.data) == (201, 200, first.data)
    for changed, body in (
        ({}, b"two"),
        ({"x-filename": "b.png"}, b"one"),
        ({"content-type": "image/gif"}, b"one"),
        ({"x-filename": "b.png"}, b"two"),
    ):
        other = await api.ask("POST", "/assets", headers | changed, data=body)
        assert other.refusal == (422, "IDEMPOTENCY_KEY_REUSED", ["header:Idempotency-Key"]), (changed, body)
    assert len((await api.get("/assets")).data) == 1


async def test_the_announced_sha256_is_part_of_a_request(api: Api):
    """Under one key: another one, or none, makes it another request, also when the bytes are the same."""
    announced = {"x-content-sha256": sha256(b"one")}
    headers = {**api.users.bearer(ALICE), "idempotency-key": "k", "x-filename": "a.png", "content-type": "image/png"}
    first = await api.ask("POST", "/assets", headers | announced, data=b"one")
    again = await api.ask("POST", "/assets", headers | announced, data=b"one")
    assert (first.status, again.status, again.data) == (201, 200, first.data)
    for changed, body in (({}, b"one"), ({"x-content-sha256": sha256(b"two")}, b"two")):
        other = await api.ask("POST", "/assets", headers | changed, data=body)
        assert other.refusal == (422, "IDEMPOTENCY_KEY_REUSED", ["header:Idempotency-Key"]), (changed, body)
    wrong = await api.ask("POST", "/assets", headers | announced, data=b"two")
    assert wrong.refusal == (400, "VALIDATION_FAILED", ["header:X-Content-SHA256"])
    assert len((await api.get("/assets")).data) == 1


async def test_ranges(api: Api, content: str):
    size = len(CONTENT)
    table = {
        "bytes=0-9": (206, CONTENT[:10], f"bytes 0-9/{size}"),
        "bytes=100-": (206, CONTENT[100:], f"bytes 100-{size - 1}/{size}"),
        "bytes=-10": (206, CONTENT[-10:], f"bytes {size - 10}-{size - 1}/{size}"),
        "bytes=-999999": (206, CONTENT, f"bytes 0-{size - 1}/{size}"),
        f"bytes={size - 1}-{size + 99}": (206, CONTENT[-1:], f"bytes {size - 1}-{size - 1}/{size}"),
        "bytes=0-0": (206, CONTENT[:1], f"bytes 0-0/{size}"),
        "bytes=9-0": (200, CONTENT, None),
        "bytes=0-1,2-6": (206, CONTENT[:7], f"bytes 0-6/{size}"),
        "bytes=0-1,99999-": (206, CONTENT[:2], f"bytes 0-1/{size}"),
        "bytes=x": (200, CONTENT, None),
        "lines=1-2": (200, CONTENT, None),
    }
    for range_header, expected in table.items():
        answer = await api.get(content, range=range_header)
        assert (answer.status, answer.body, answer.headers.get("content-range")) == expected, range_header
        assert answer.headers["content-length"] == str(len(expected[1])), range_header


async def test_several_ranges_are_parts_of_one_answer(api: Api, content: str):
    """In the order of the request; each part has the file's type and its own range."""
    size = len(CONTENT)
    answer = await api.get(content, range="bytes=-10, 0-9, 100-300,99999-")
    assert answer.status == 206
    assert "content-range" not in answer.headers
    assert answer.headers["etag"] == (await api.get(content)).headers["etag"]
    assert answer.raw.count(b"\r\nContent-Type: image/png\r\n") == 3
    assert parts_of(answer.raw, answer.headers) == [
        (f"bytes {size - 10}-{size - 1}/{size}", CONTENT[-10:]),
        (f"bytes 0-9/{size}", CONTENT[:10]),
        (f"bytes 100-300/{size}", CONTENT[100:301]),
    ]
    many = ",".join(f"{first}-{first}" for first in range(0, 2 * MAX_RANGES, 2))
    assert len(parts_of(*(await api.get(content, range=f"bytes={many}"))[2:])) == MAX_RANGES
    too_many = await api.get(content, range=f"bytes={many},{size - 1}-")
    assert (too_many.status, too_many.raw) == (200, CONTENT)


async def test_a_range_beyond_the_file_is_refused_with_its_size(api: Api, content: str):
    for range_header in (f"bytes={len(CONTENT)}-", "bytes=-0", f"bytes=-0,{len(CONTENT)}-"):
        answer = await api.get(content, range=range_header)
        assert answer.refusal == (416, "RANGE_NOT_SATISFIABLE", [])
        assert answer.headers["content-range"] == f"bytes */{len(CONTENT)}"


async def test_a_file_that_the_client_has_is_not_sent_again(api: Api, content: str):
    etag = (await api.get(content)).headers["etag"]
    for tags in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        answer = await api.get(content, if_none_match=tags)
        assert (answer.status, answer.body) == (304, b""), tags
        assert answer.headers["etag"] == etag
    for other in ('"x"', etag.strip('"')):
        assert (await api.get(content, if_none_match=other)).status == 200


async def test_a_range_of_another_file_is_the_whole_of_this_one(api: Api, content: str):
    etag = (await api.get(content)).headers["etag"]
    assert (await api.get(content, range="bytes=0-1", if_range=etag)).status == 206
    assert (await api.get(content, range="bytes=0-1", if_range='"other"')).status == 200


async def test_for_other_users_it_is_a_404(api: Api, content: str):
    metadata = content.removesuffix("/content")
    other_job = UUID(int=999)
    attempts = {
        "another user": [await api.get(content, BOB), await api.get(metadata, BOB)],
        "a worker of another job": [await api.ask("GET", content, api.grant(read_job=str(other_job)))],
        "a worker of another user": [await api.ask("GET", content, api.grant(BOB))],
    }
    assert {who: [answer.refusal[:2] for answer in answers] for who, answers in attempts.items()} == {
        "another user": [(404, "NOT_FOUND"), (404, "NOT_FOUND")],
        "a worker of another job": [(404, "NOT_FOUND")],
        "a worker of another user": [(404, "NOT_FOUND")],
    }
    for path in (content, metadata):
        assert (await api.ask("GET", path, {})).refusal[:2] == (401, "UNAUTHENTICATED")
    assert (await api.ask("GET", metadata, api.grant())).refusal[:2] == (403, "FORBIDDEN")


async def test_a_worker_reads_the_files_of_its_job(api: Api, content: str):
    later_step = api.grant(sid=UUID(int=98))
    assert (await api.ask("GET", content, later_step)).body == CONTENT
    assert (await api.ask("GET", content, later_step | {"range": "bytes=0-3"})).body == CONTENT[:4]


async def test_a_worker_reads_the_files_that_its_grant_lists(api: Api, content: str):
    """If they are the files of the user whom the grant states; the step may be of another user, and of another job."""
    asset_id = content.split("/")[2]
    other = {"user": BOB, "job": UUID(int=999)}
    readable = api.grant(**other, read_files={asset_id: str(ALICE)})
    assert (await api.ask("GET", content, readable)).body == CONTENT
    for files in ({asset_id: str(BOB)}, {f"{asset_id}0": str(ALICE)}, {}):
        assert (await api.ask("GET", content, api.grant(**other, read_files=files))).refusal[:2] == (404, "NOT_FOUND")


async def test_what_does_not_exist_is_not_found(api: Api):
    for path in ("/assets/1", "/assets/1/content", f"/assets/{10**30}", "/assets/x", "/assets/-1/content"):
        assert (await api.get(path)).status == 404, path


async def test_a_user_stores_a_file_of_their_own(api: Api):
    headers = {**api.users.bearer(ALICE), "content-type": "image/png", "x-filename": "mine.png"}
    answer = await api.ask("POST", "/assets", {**headers, "Idempotency-Key": "k"}, data=CONTENT)
    again = await api.ask("POST", "/assets", {**headers, "Idempotency-Key": "k"}, data=CONTENT)
    assert (answer.status, again.status) == (201, 200)
    asset = answer.data
    assert again.data == asset
    assert asset["path"].startswith(f"uploads/{ALICE}/")
    assert (await api.get(f"/assets/{asset['id']}/content")).body == CONTENT
    assert (await api.get(f"/assets/{asset['id']}", BOB)).status == 404
    other = await api.ask("POST", "/assets", headers, data=CONTENT)
    assert other.data["id"] != asset["id"]


async def test_a_form_is_not_a_file(api: Api):
    headers = {**api.users.bearer(ALICE), "content-type": "multipart/form-data; boundary=x", "x-filename": "a.png"}
    answer = await api.ask("POST", "/assets", headers, data=b"--x--")
    assert answer.refusal == (415, "UNSUPPORTED_MEDIA_TYPE", ["header:Content-Type"])


async def test_the_document_says_that_files_are_bodies(api: Api):
    paths = (await api.ask("GET", "/schema/openapi.json", {})).body["paths"]
    for path in ("/uploads", "/assets"):
        operation = paths[path]["post"]
        assert operation["requestBody"]["content"]["*/*"]["schema"]["format"] == "binary"
        assert {"X-Filename", "X-Content-SHA256"} <= {parameter["name"] for parameter in operation["parameters"]}
    content = paths["/assets/{asset_id}/content"]["get"]
    assert {"200", "206", "304", "404"} <= set(content["responses"])
