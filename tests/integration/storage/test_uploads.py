"""Workers' uploads: streamed, checked, recorded once; everything else refused, and nothing left behind."""

import asyncio
from pathlib import Path
from uuid import UUID

from shared.content.files import cid_of
from tests.support.apps.client import ALICE, BOB
from tests.support.apps.storage import COLLECTION, GID, JOB, PUBLIC_URL, SID, Api, sha256, storage_service
from tests.support.servers import Bucket

PATH = f"generations/{ALICE}/{JOB}/{GID}/{SID}"
PNG = b"\x89PNG pretended"


async def test_an_upload_is_stored_at_its_path_and_answered_as_an_asset(api: Api):
    answer = await api.upload(PNG, content_type="Image/PNG; name=x")
    assert answer.status == 201
    asset = answer.data
    assert asset.pop("created_at")
    assert asset == {
        "id": 1,
        "name": "a.png",
        "url": f"{PUBLIC_URL}/assets/1/content",
        "path": f"{PATH}/a.png",
        "mime_type": "image/png",
        "size": len(PNG),
        "sha256": sha256(PNG),
        "cid": str(cid_of(PNG)),
        "gen_in_data": None,
        "gen_out_data": None,
        "user_id": str(ALICE),
        "component_id": 77,
        "collection_id": str(COLLECTION),
        "job_id": str(JOB),
    }
    assert api.objects() == {f"{PATH}/a.png": len(PNG)}
    assert api.bucket.client().stat_object(api.bucket.name, asset["path"]).content_type == "image/png"


async def test_the_same_upload_again_is_the_same_asset(api: Api):
    first = await api.upload(PNG)
    second = await api.upload(PNG)
    assert (first.status, second.status) == (201, 200)
    assert first.data == second.data
    assert await api.runtime.store.head() == 1


async def test_other_bytes_at_the_same_path_are_refused_and_change_nothing(api: Api):
    await api.upload(PNG)
    assert (await api.upload(b"other")).refusal == (409, "CONFLICT", [])
    assert api.objects() == {f"{PATH}/a.png": len(PNG)}
    assert await api.runtime.store.head() == 1


async def test_of_two_uploads_at_once_one_wins_whole(api: Api):
    """The recorded file is the stored one, whichever upload ended first."""
    contents = [bytes([number]) * 3_000_000 for number in range(6)]
    answers = await asyncio.gather(*(api.upload(content) for content in contents))
    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409, 409, 409]
    winner = next(answer.data for answer in answers if answer.status == 201)
    stored = (await api.get(f"/assets/{winner['id']}/content")).body
    assert sha256(stored) == winner["sha256"]
    assert await api.runtime.store.head() == 1


async def test_of_two_uploads_through_two_replicas_one_wins_whole(
    api: Api, database: str, nats_url: str, bucket: Bucket, tmp_path: Path
):
    """The lock on a path is the database's, so it holds over all replicas."""
    (tmp_path / "other").mkdir()
    async with storage_service(database, nats_url, bucket, tmp_path / "other") as other:
        for number in range(5):
            contents = [bytes([replica]) * 1_000_000 for replica in range(2)]
            answers = await asyncio.gather(
                *(item.upload(content, f"{number}.png") for item, content in zip((api, other), contents, strict=True))
            )
            assert sorted(answer.status for answer in answers) == [201, 409]
            [winner] = [answer.data for answer in answers if answer.status == 201]
            stored = (await other.get(f"/assets/{winner['id']}/content")).body
            assert sha256(stored) == winner["sha256"]


async def test_the_same_upload_at_once_is_one_asset(api: Api):
    answers = await asyncio.gather(*(api.upload(PNG) for _ in range(6)))
    assert {answer.status for answer in answers} == {200, 201}
    assert len({answer.data["id"] for answer in answers}) == 1
    assert await api.runtime.store.head() == 1


async def test_ids_are_each_their_own(api: Api):
    answers = await asyncio.gather(*(api.upload(PNG, f"{number}.png") for number in range(80)))
    ids = [answer.data["id"] for answer in answers]
    assert len(set(ids)) == 80
    assert all(0 < item < 2**53 for item in ids)


async def test_an_upload_of_unknown_length_is_streamed(api: Api):
    async def pieces():
        for _ in range(3):
            yield b"x" * 1000

    answer = await api.upload(pieces())
    assert (answer.status, answer.data["size"], answer.data["sha256"]) == (201, 3000, sha256(b"x" * 3000))


async def test_an_empty_file_is_a_file(api: Api):
    asset = (await api.upload(b"")).data
    assert asset["size"] == 0
    content = await api.get(f"/assets/{asset['id']}/content")
    assert (content.status, content.body) == (200, b"")


async def test_a_name_in_any_script_is_percent_encoded(api: Api):
    asset = (await api.upload(PNG, "%E5%9B%BE%20e%CC%81.png")).data
    assert asset["name"] == "图 e\u0301.png"
    assert asset["path"] == f"{PATH}/图 e\u0301.png"
    content = await api.get(f"/assets/{asset['id']}/content")
    assert content.body == PNG
    assert (
        content.headers["content-disposition"]
        == "inline; filename=\"_ e_.png\"; filename*=UTF-8''%E5%9B%BE%20e%CC%81.png"
    )


async def test_wrong_bytes_are_refused_and_leave_nothing(api: Api):
    small = await api.upload(PNG, x_content_sha256="0" * 64)
    assert small.refusal == (400, "VALIDATION_FAILED", ["header:X-Content-SHA256"])
    large = await api.upload(b"x" * 20_000_000, x_content_sha256="0" * 64)
    assert large.refusal == (400, "VALIDATION_FAILED", ["header:X-Content-SHA256"])
    assert api.objects() == {}
    assert await api.runtime.store.head() == 0


async def test_what_was_refused_may_be_sent_again_rightly(api: Api):
    assert (await api.upload(PNG, x_content_sha256="0" * 64)).status == 400
    assert (await api.upload(PNG)).status == 201


async def test_wrong_headers_are_refused_with_their_name(api: Api):
    refusals = {
        "no name": (await api.upload(PNG, None)).refusal,
        "no digest": (await api.upload(PNG, x_content_sha256="abc")).refusal,
        "no type": (await api.upload(PNG, content_type="png")).refusal,
    }
    assert refusals == {
        "no name": (400, "VALIDATION_FAILED", ["header:X-Filename"]),
        "no digest": (400, "VALIDATION_FAILED", ["header:X-Content-SHA256"]),
        "no type": (415, "UNSUPPORTED_MEDIA_TYPE", ["header:Content-Type"]),
    }
    assert api.objects() == {}


async def test_names_that_play_tricks_are_refused(api: Api):
    names = [
        "..",
        ".",
        "../a.png",
        "%2e%2e%2fa.png",
        "..%5Ca.png",
        "/etc/passwd",
        "a%00.png",
        "a%0d%0aSet-Cookie:%20x.png",
        "%ff.png",
        "a%E2%80%AEgnp.exe",
        "100%.png",
        "a" * 201,
        "con",
        "a.png%20",
        "C:a.png",
    ]
    refusals = {name: (await api.upload(PNG, name)).refusal for name in names}
    assert refusals == dict.fromkeys(names, (400, "VALIDATION_FAILED", ["header:X-Filename"]))
    assert api.objects() == {}
    assert await api.runtime.store.head() == 0


async def test_only_a_grant_of_the_step_itself_lets_a_worker_write(api: Api):
    """A user's token, a forged or expired grant, and one whose prefix is another user's folder."""
    forger = type(api.grants)("emprops-generation", kid="grants")
    foreign = f"generations/{BOB}/{JOB}/{GID}/{SID}/"
    attempts = {
        "a user": api.users.bearer(ALICE),
        "an operator": api.users.bearer(ALICE, "operator"),
        "a user who says worker": api.users.bearer(ALICE, "worker"),
        "a forger": forger.bearer(ALICE, "worker", grant={"prefix": f"{PATH}/"}),
        "a grant that has expired": api.grant(claims={"exp": 1}),
        "a grant for others": api.grant(claims={"aud": "other"}),
        "a grant that says user": api.grants.bearer(ALICE, "user"),
        "another user's folder": api.grant(prefix=foreign),
        "the whole store": api.grant(prefix=""),
        "the step above": api.grant(prefix=f"generations/{ALICE}/{JOB}/{GID}/"),
        "another step": api.grant(sid=UUID(int=99), prefix=f"{PATH}/"),
        "no grant": api.grant(claims={"grant": None}),
        "half a grant": api.grant(claims={"grant": {"prefix": f"{PATH}/"}}),
    }
    codes = {who: (await api.upload(PNG, grant=headers)).refusal[:2] for who, headers in attempts.items()}
    unauthenticated, forbidden = (401, "UNAUTHENTICATED"), (403, "FORBIDDEN")
    assert codes == {
        "a user": forbidden,
        "an operator": forbidden,
        "a user who says worker": forbidden,
        "a forger": unauthenticated,
        "a grant that has expired": unauthenticated,
        "a grant for others": unauthenticated,
        "a grant that says user": forbidden,
        "another user's folder": forbidden,
        "the whole store": forbidden,
        "the step above": forbidden,
        "another step": forbidden,
        "no grant": forbidden,
        "half a grant": forbidden,
    }
    assert api.objects() == {}
    assert await api.runtime.store.head() == 0


async def test_a_client_that_goes_away_leaves_nothing(api: Api):
    """It announced more than it sent: the upload ends with its connection."""
    host, port = api.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    token = api.grant()["Authorization"]
    writer.write(
        f"POST /uploads HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nX-Filename: a.png\r\n"
        f"Content-Type: image/png\r\nContent-Length: 20000000\r\n\r\n".encode()
    )
    writer.write(b"x" * 10_000_000)
    await writer.drain()
    writer.close()
    assert (await api.upload(PNG)).status == 201
    assert api.objects() == {f"{PATH}/a.png": len(PNG)}
    assert await api.runtime.store.head() == 1
