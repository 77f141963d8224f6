"""Bodies that are files, odd in every way that files are, on the real set.

The same must hold as for odd values: never a 5xx, a refusal that helps, and nothing recorded of what was refused.
"""

import hashlib
from collections.abc import Iterator
from itertools import count
from typing import Any, NamedTuple

from tests.support.odd_requests import Operation, Scene
from tests.support.patience import eventually

SET_VARIABLES = Operation("PUT", "/collections/{collection_id}/variables.csv", "setVariables", [])
STORE_ASSET = Operation("POST", "/assets", "storeAsset", [])
UPLOAD = Operation("POST", "/uploads", "upload", [])
CREATE = Operation("POST", "/projects/collections", "createCollection", [])
COLUMNS = ("name", "type", "value_type", "lock_value", "test_value", "value", "display_name", "weight", "more")
TABLE = (
    ",".join(COLUMNS) + '\r\nmood,pick,strings,false,noir,noir,Noir,1,\r\n,,,,,"pop, ""loud""",Pop,0.5,\r\n'
    'size,number,,,,7,,,"{""variable"": {""x"": [1]}}"\r\n'
).encode()
JSON = b'{"title": "Odd", "data": {"version": "v2", "steps": [{"id": 1, "nodeName": "sketch", "nodePayload": {}}]}}'
FILE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
SHA256 = hashlib.sha256(FILE).hexdigest()


class Odd(NamedTuple):
    what: str
    body: bytes
    headers: dict[str, str] = {}  # noqa: RUF012 - of a tuple, and never changed


def truncated(whole: bytes, step: int) -> Iterator[Odd]:
    for length in range(0, len(whole), step):
        yield Odd(f"{length} bytes of it", whole[:length])


def encoded(whole: bytes, own_type: str) -> Iterator[Odd]:
    """In another charset than the header states, in one that is not accepted, and with bytes that are not text."""
    text = whole.decode()
    for charset in ("utf-16", "utf-32", "utf-8-sig", "utf-7"):
        yield Odd(f"in {charset}", text.encode(charset))
        yield Odd(f"as {charset}", text.encode(charset), {"Content-Type": f"{own_type}; charset={charset}"})
    for odd in (b"\0", b"\xff", b"\xed\xa0\x80", b"\xc3", b"\x1b[2J", "\u202e\u2028\ufffe".encode(), b"\r", b"\n\n"):
        middle = len(whole) // 2
        yield Odd(f"{odd!r} in its middle", whole[:middle] + odd + whole[middle:])
        yield Odd(f"{odd!r} before it", odd + whole)
        yield Odd(f"{odd!r} after it", whole + odd)
    yield Odd("doubled", whole + whole)


def mistyped(whole: bytes) -> Iterator[Odd]:
    for content_type in (
        *("application/json", "text/csv", "text/csv; charset=latin-1", "TEXT/CSV; CHARSET=UTF-8", "text/csv; charset="),
        *("application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "x", "/", "a/b/c"),
        *(
            "text/plain; charset=shift_jis",
            'text/plain; charset="utf-8"',
            "text/plain;;;",
            "*/*",
            "a/" + "b" * 300,
            ",",
        ),
    ):
        yield Odd(f"as {content_type}", whole, {"Content-Type": content_type})


def tables() -> Iterator[Odd]:
    header = TABLE.partition(b"\r\n")[0]
    yield from truncated(TABLE, 5)
    yield from encoded(TABLE, "text/csv")
    yield from mistyped(TABLE)
    yield Odd("a header alone", header)
    yield Odd("a header twice", header + b"\n" + header)
    yield Odd("many columns", b"name," * 50_000)
    yield Odd("a line of many cells", header + b"\n" + b"," * 100_000)
    yield Odd("a long line", header + b"\nx,text,,,," + b"y" * 500_000)
    yield Odd("a quote that is never closed", header + b'\nx,text,,,,"' + b"y\n" * 200_000)
    yield Odd("many lines", header + b"\n" + b"x,text\n" * 50_000)
    yield Odd("many values", header + b"\nx,pick,,,,a\n" + b",,,,,a\n" * 50_000)
    yield Odd("many quotes", header + b'\nx,text,,,,"' + b'""' * 300_000 + b'"\n')
    yield Odd("another separator", TABLE.replace(b",", b";"))
    yield Odd("tabs", TABLE.replace(b",", b"\t"))
    yield Odd("JSON", JSON)
    yield Odd("a file", FILE)
    for cell in (b"1e400", b"1" * 5_000, b"[" * 2_000, b'"{""a"":1,""a"":2}"', b"{{nobody}}", b"=1+1", b'"\0"', b"NaN"):
        yield Odd(f"a cell {cell[:20]!r}", header + b"\nx,text,,,," + cell + b",,,\n")
        yield Odd(f"a weight {cell[:20]!r}", header + b"\nx,pick,,,,a,," + cell + b",\n")
        yield Odd(f"more {cell[:20]!r}", header + b"\nx,text,,,,a,,," + cell + b"\n")


def files() -> Iterator[Odd]:
    named_headers = {"X-Filename": "a.png", "Content-Type": "image/png"}
    for odd in [*truncated(FILE, 500), *mistyped(FILE), Odd("a table", TABLE), Odd("many", FILE * 500)]:
        yield Odd(odd.what, odd.body, {**named_headers, **odd.headers})
        yield Odd(f"{odd.what}, announced", odd.body, {**named_headers, **odd.headers, "X-Content-SHA256": SHA256})
    for announced in (
        *("", "0" * 64, SHA256.upper(), SHA256[:-1], SHA256 + "0", f" {SHA256} ", f'"{SHA256}"', f"sha256:{SHA256}"),
        *("g" * 64, "*", SHA256[:32] + "\u0661" * 32, "x" * 2_000),
    ):
        yield Odd(f"sha256 {announced[:80]!r}", FILE, {**named_headers, "X-Content-SHA256": announced})
    for name in (
        "%00.png",
        "a/b.png",
        "..",
        "%2e%2e",
        "%ED%A0%80",
        "%",
        "con.png",
        "a" * 1_000,
        "%E2%80%AE.png",
        "\u0661",
    ):
        yield Odd(f"named {name[:80]!r}", FILE, {**named_headers, "X-Filename": name})


def lines_of(table: bytes) -> dict[str, Any]:
    """What a pointer into a table may name: `/<line>/<column>`."""
    text = table.decode(errors="replace")
    columns = dict.fromkeys([*COLUMNS, *text.partition("\n")[0].split(",")])
    return {str(line): columns for line in range(1, text.count("\n") + text.count("\r") + 2)}


def as_variables(table: bytes) -> dict[str, Any]:
    """What a pointer into the collection may name, `/data/variables/<n>`: at most as many as the table has lines."""
    everything: Any = _Everything()
    return {"data": {"variables": [everything] * (table.count(b"\n") + 2)}}


class _Everything(dict[str, Any]):
    def __contains__(self, _name: object) -> bool:
        return True

    def __missing__(self, _name: str) -> "_Everything":
        return self


async def test_odd_tables(scene: Scene) -> None:
    """Each in place of the variables of a collection, whose steps may not do without them."""
    address = scene.address(SET_VARIABLES)
    as_it_should_be = await scene.ask(SET_VARIABLES, address, TABLE, {"Content-Type": "text/csv"})
    assert as_it_should_be == 204, "else all that follows would be refused for another reason"
    for odd in tables():
        documents = (lines_of(odd.body), as_variables(odd.body), scene.collection)
        headers = {"Content-Type": "text/csv", **odd.headers}
        await scene.ask(SET_VARIABLES, address, odd.body, headers, odd.what, documents)
    await scene.assert_no_faults()


async def test_odd_files(scene: Scene) -> None:
    for operation in (STORE_ASSET, UPLOAD):
        for number, odd in zip(count(), files(), strict=False):
            headers = dict(odd.headers)
            if operation is UPLOAD and headers["X-Filename"] == "a.png":
                headers["X-Filename"] = f"{number}.png"
            status = await scene.ask(operation, scene.address(operation), odd.body, headers, odd.what)
            true = hashlib.sha256(odd.body).hexdigest()
            if headers.get("X-Content-SHA256", true).strip() != true:
                assert status in {400, 415}, f"{status} of {odd.what} with a false sha256"
    await scene.assert_no_faults()


async def test_json_that_is_none(scene: Scene) -> None:
    for odd in [*truncated(JSON, 3), *encoded(JSON, "application/json"), *mistyped(JSON), Odd("a file", FILE)]:
        await scene.ask(CREATE, scene.address(CREATE), odd.body, odd.headers, odd.what, ({"title": 1, "data": 1},))
    await scene.assert_no_faults()


async def test_bodies_whose_clients_go_away(scene: Scene) -> None:
    """None is recorded, and none counts as an error of ours."""
    errors = await scene.errors()
    for operation, own_type, whole in (
        (SET_VARIABLES, "text/csv", TABLE),
        (STORE_ASSET, "image/png", FILE),
        (STORE_ASSET, "image/png", FILE * 1_000),
        (UPLOAD, "image/png", FILE),
        (CREATE, "application/json", JSON),
    ):
        headers = {"Content-Type": own_type, "X-Filename": "gone.png"}
        chunk = b"%x\r\n%b\r\n" % (len(whole), whole)
        for announced, sent in (
            (f"Content-Length: {len(whole)}", whole[:-1]),
            (f"Content-Length: {len(whole)}", b""),
            ("Transfer-Encoding: chunked", chunk),
            ("Transfer-Encoding: chunked", chunk[:-10]),
        ):
            await scene.cut_off(operation, scene.address(operation), headers, announced, sent)

    async def all_counted() -> bool:
        async with scene.session.get(f"{scene.running.url}/metrics") as response:
            text = await response.text()
        counts = [float(line.rpartition(" ")[2]) for line in text.splitlines() if _GONE in line and "_count{" in line]
        return sum(counts) >= len(scene.refused)

    await eventually(all_counted, "all of them to be counted as gone")
    assert await scene.errors() == errors
    await scene.assert_no_faults()


_GONE = 'status="499"'
