"""What every file store does, whatever its kind: files appear whole, and come back byte-exact under their own names."""

import asyncio
import secrets
import unicodedata
from datetime import UTC, datetime

import pytest

from services.storage.providers.file_store import NoSuchFile
from tests.support.file_stores.subject import Subject, pieces_of

MIB = 1024 * 1024
TWINS = [unicodedata.normalize(form, "é.txt") for form in ("NFC", "NFD")]
NAMES = [
    "with space.txt",
    "100%.txt",
    "a%20b.txt",
    "a+b.txt",
    "a#b.txt",
    "a&b=c;d.txt",
    "'quotes'!()~@$,[]{}^`.txt",
    "..dots..txt",
    "日本語 🎨.png",
    *TWINS,
    "x" * 200,
    "é" * 100,
]


async def test_a_file_comes_back_whole_and_in_ranges(subject: Subject):
    content = bytes(range(256)) * 40
    await subject.put("a/b.bin", content[:1000], content[1000:])
    assert await subject.get("a/b.bin") == content
    for first, length in ((0, 1), (1, 255), (5_000, 1_000), (10_239, 1)):
        assert await subject.get("a/b.bin", first, length) == content[first : first + length]


async def test_an_empty_file_is_a_file(subject: Subject):
    await subject.put("empty.txt")
    assert (await subject.store.head("empty.txt")).size == 0
    assert await subject.paths() == ["empty.txt"]


async def test_a_large_file_is_sent_in_parts(subject: Subject):
    """Of pieces whose borders are not those of the parts; ranges go across parts."""
    content = secrets.token_bytes(20 * MIB + 1)
    await subject.put("large.bin", *[piece async for piece in pieces_of(content, 300_007)])
    assert (await subject.store.head("large.bin")).size == len(content)
    assert await subject.get("large.bin") == content
    assert await subject.get("large.bin", 8 * MIB - 5, 9 * MIB) == content[8 * MIB - 5 : 17 * MIB - 5]


async def test_one_piece_may_be_larger_than_a_part(subject: Subject):
    content = secrets.token_bytes(17 * MIB)
    await subject.put("large.bin", content)
    assert await subject.get("large.bin") == content


@pytest.mark.parametrize("size", [10, 9 * MIB], ids=["small", "in parts"])
async def test_a_file_is_seen_when_it_is_complete_and_not_before(subject: Subject, size: int):
    upload = subject.store.upload("a/b.bin", "text/plain")
    try:
        await upload.write(b"x" * size)
        assert await subject.paths() == []
        with pytest.raises(NoSuchFile):
            await subject.store.head("a/b.bin")
        await upload.complete()
        assert await subject.paths() == ["a/b.bin"]
    finally:
        await upload.abort()
    assert (await subject.store.head("a/b.bin")).size == size, "to abort a complete upload has no effect"


@pytest.mark.parametrize("size", [0, 10, 20 * MIB])
async def test_an_upload_that_is_aborted_leaves_nothing(subject: Subject, size: int):
    upload = subject.store.upload("a/b.bin", "text/plain")
    await upload.write(b"x" * size)
    await upload.abort()
    assert await subject.paths() == []
    assert subject.unfinished() == []


async def test_an_upload_that_is_aborted_leaves_the_file_that_was_there(subject: Subject):
    await subject.put("a.txt", b"before")
    upload = subject.store.upload("a.txt", "text/plain")
    await upload.write(b"x" * 9 * MIB)
    await upload.abort()
    assert await subject.get("a.txt") == b"before"


async def test_a_file_is_replaced_by_the_next_at_its_path(subject: Subject):
    await subject.put("a.txt", b"a longer text")
    await subject.put("a.txt", b"short")
    assert await subject.get("a.txt") == b"short"
    assert await subject.paths() == ["a.txt"]


async def test_of_many_writers_at_one_path_one_wins_whole(subject: Subject):
    contents = [bytes([number]) * (9 * MIB if number % 4 == 0 else 1_000) for number in range(8)]
    await asyncio.gather(*(subject.put("a.bin", content) for content in contents))
    assert await subject.get("a.bin") in contents


async def test_many_writers_at_many_paths(subject: Subject):
    names = [f"{number}.bin" for number in range(24)]
    await asyncio.gather(*(subject.put(name, name.encode() * 1_000) for name in names))
    read = await asyncio.gather(*(subject.get(name) for name in names))
    assert read == [name.encode() * 1_000 for name in names]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
async def test_a_name_comes_back_as_it_was(subject: Subject, name: str):
    path = f"uploads/{name}"
    await subject.put(path, b"content")
    assert await subject.paths() == [path]
    assert (await subject.store.head(path)).path == path
    assert await subject.get(path) == b"content"
    await subject.store.copy(path, f"copies/{name}")
    assert await subject.paths("copies/") == [f"copies/{name}"]
    await subject.store.delete(path)
    assert await subject.paths("uploads/") == []


async def test_names_that_look_the_same_are_two_files(subject: Subject):
    for twin in TWINS:
        await subject.put(twin, twin.encode())
    assert await subject.paths() == sorted(TWINS)
    for twin in TWINS:
        assert await subject.get(twin) == twin.encode()


async def test_names_that_differ_in_case_are_two_files(subject: Subject):
    await subject.put("A.txt", b"upper")
    await subject.put("a.txt", b"lower")
    assert await subject.get("A.txt") == b"upper"
    assert await subject.get("a.txt") == b"lower"


async def test_all_files_below_a_prefix_are_listed_however_many_pages_they_fill(subject: Subject):
    names = [f"many/{number % 3}/{number}.txt" for number in range(2 * subject.page_size + 1)]
    await asyncio.gather(*(subject.put(name, b"x") for name in [*names, "many.txt", "manyother/a.txt"]))
    assert await subject.paths("many/") == sorted(names)
    assert await subject.paths("many/1/") == sorted(name for name in names if name.startswith("many/1/"))
    assert len(await subject.paths()) == len(names) + 2
    assert await subject.paths("none/") == []


async def test_an_entry_has_the_size_and_the_time(subject: Subject):
    await subject.put("a.txt", b"12345")
    head = await subject.store.head("a.txt")
    [listed] = [entry async for entry in subject.store.entries("")]
    for entry in (head, listed):
        assert (entry.path, entry.size) == ("a.txt", 5)
        assert abs((datetime.now(UTC) - entry.changed_at).total_seconds()) < 300


async def test_a_copy_is_a_file_of_its_own(subject: Subject):
    content = secrets.token_bytes(9 * MIB)
    await subject.put("a/source.bin", content)
    await subject.put("b/copy.bin", b"replaced")
    await subject.store.copy("a/source.bin", "b/copy.bin")
    await subject.store.delete("a/source.bin")
    assert await subject.get("b/copy.bin") == content


async def test_what_is_not_there_can_not_be_read_or_copied(subject: Subject):
    await subject.put("a/b.txt", b"x")
    for path in ("a/c.txt", "a", "a/b.txt/c", "b/b.txt"):
        with pytest.raises(NoSuchFile):
            await subject.store.head(path)
        with pytest.raises(NoSuchFile):
            await subject.store.read(path, 0, 1)
        with pytest.raises(NoSuchFile):
            await subject.store.copy(path, "d.txt")
    assert await subject.paths() == ["a/b.txt"]


async def test_to_delete_is_idempotent(subject: Subject):
    await subject.put("a/b.txt", b"x")
    for _ in range(2):
        await subject.store.delete("a/b.txt")
    await subject.store.delete("never/there.txt")
    assert await subject.paths() == []


async def test_a_reader_may_stop_in_the_middle(subject: Subject):
    content = secrets.token_bytes(9 * MIB)
    await subject.put("a.bin", content)
    for _ in range(30):
        async for chunk in await subject.store.read("a.bin", 0, len(content)):
            assert content.startswith(chunk)
            break
    assert await subject.get("a.bin", 7, 5) == content[7:12]


async def test_an_upload_may_be_kept_and_resumed(subject: Subject):
    """Whether or not the store keeps parts, the file is whole in the end, and nothing else is left."""
    upload_ids: list[str] = []

    async def keep(upload_id: str) -> None:
        upload_ids.append(upload_id)

    content = secrets.token_bytes(17 * MIB)
    first = subject.store.kept_upload("a.bin", "text/plain", keep)
    await first.write(content[: 9 * MIB])
    await first.abort()
    second = subject.store.kept_upload("a.bin", "text/plain", keep)
    if upload_ids:
        await second.resume(upload_ids[0])
    await second.write(content)
    await second.complete()
    await second.discard()
    assert second.reused == (1 if upload_ids else 0)
    assert await subject.get("a.bin") == content
    assert subject.unfinished() == []


async def test_a_write_is_tried_for_readiness_and_leaves_nothing(subject: Subject):
    await subject.store.ensure_bucket()
    await subject.store.try_to_write(".health/x")
    assert await subject.paths() == []
