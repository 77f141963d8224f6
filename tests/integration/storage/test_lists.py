"""A user's own files: newest first, page by page, and by what they are."""

from uuid import UUID

from tests.support.apps.client import BOB
from tests.support.apps.storage import COLLECTION, JOB, Api


async def test_a_user_lists_own_files_newest_first(api: Api):
    for number in range(5):
        await api.upload(b"x", f"{number}.png")
    await api.upload(b"x", grant=api.grant(BOB))
    other_job = UUID(int=999)
    await api.upload(b"x", grant=api.grant(job=other_job))
    names, query = [], "?limit=2"
    while query:
        body = (await api.get(f"/assets{query}")).body
        names.append([asset["name"] for asset in body["data"]])
        query = f"?limit=2&cursor={body['next_cursor']}" if body["next_cursor"] else ""
    assert names == [["a.png", "4.png"], ["3.png", "2.png"], ["1.png", "0.png"]]
    assert len((await api.get(f"/assets?job_id={JOB}")).data) == 5
    assert len((await api.get(f"/assets?job_id={other_job}")).data) == 1
    assert (await api.get(f"/assets?collection_id={other_job}")).data == []
    assert (await api.get("/assets?job_id=x")).refusal == (400, "VALIDATION_FAILED", ["?job_id"])


async def test_a_list_is_narrowed(api: Api):
    """By type, time, job, collection and component; all conditions must hold."""
    other = UUID(int=999)
    grants = {
        "a.png": api.grant(),
        "b.svg": api.grant(component_id=78),
        "c.txt": api.grant(collection_id=str(other)),
        "d.png": api.grant(job=other),
    }
    types = {"png": "image/png", "svg": "image/svg+xml", "txt": "text/plain; charset=utf-8"}
    times = {}
    for name, grant in grants.items():
        asset = (await api.upload(b"<svg/>", name, grant, content_type=types[name[2:]])).data
        times[name] = asset["created_at"]
    table = {
        "mime=image/png": "d.png a.png",
        "mime=IMAGE/png": "d.png a.png",
        "mime=image/svg%2Bxml": "b.svg",
        "mime=image/svg+xml": "b.svg",
        "mime=image/*": "d.png b.svg a.png",
        "mime=text/plain": "c.txt",
        "mime=text/*": "c.txt",
        "mime=image/pn": "",
        "mime=imag/*": "",
        "job=" + str(JOB): "c.txt b.svg a.png",
        "job_id=" + str(other): "d.png",
        f"job={JOB}&job_id={JOB}": "c.txt b.svg a.png",
        "collection=" + str(COLLECTION): "d.png b.svg a.png",
        "collection_id=" + str(other): "c.txt",
        "component=78": "b.svg",
        "component=77&mime=image/*&job=" + str(JOB): "a.png",
        "since=" + times["c.txt"].replace("+", "%2B"): "d.png c.txt",
        "since=2100-01-01T00:00:00Z": "",
    }
    for query, names in table.items():
        assert [asset["name"] for asset in (await api.get(f"/assets?{query}")).data] == names.split(), query
    wrong = {
        "mime=image": "?mime",
        "mime=*/*": "?mime",
        "mime=image/png;charset=a": "?mime",
        "since=2026-01-01": "?since",
        "since=2026-01-01T00:00:00": "?since",
        "job=x": "?job",
        "collection=1": "?collection",
        "component=-1": "?component",
        "component=" + "9" * 30: "?component",
        f"job={JOB}&job_id={other}": "?job_id",
        f"collection={JOB}&collection_id={other}": "?collection_id",
    }
    for query, pointer in wrong.items():
        refused = await api.get(f"/assets?{query}")
        assert refused.status == 400, query
        assert refused.refusal == (400, "VALIDATION_FAILED", [pointer]), query
