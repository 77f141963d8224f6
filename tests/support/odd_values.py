"""Unusual and invalid values, which replace each value of a body, one at a time.

Bodies are encoded by hand: a JSON library would not write duplicate members, `NaN` or numbers of 4,300 digits.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

NUMBERS = [
    *(b"0", b"-1", b"-0", b"-0.0", b"1.5", b"1.0", b"1e2", b"1e22", b"1e308", b"1e400", b"-1e400", b"1e-400"),
    *(b"1e999999999", b"1e-999999999", b"0.1000000000000000055511151231257827021181583404541015625"),
    *(b"9007199254740993", b"9223372036854775807", b"9223372036854775808", b"18446744073709551616"),
    *(b"1" * 310, b"1" * 4300, b"1" * 4301, b"-" + b"9" * 310, b"NaN", b"Infinity", b"01", b"+1", b".5", b"5."),
]
TEXTS = [
    *("", " ", " 5", "5 ", "\u0661", "1_000", "+5", "5.", "1e3", "1e-999999999", "NaN", "true", "null", "0" * 40),
    *("e\u0301", "\u202egnp.exe", "\x1b[2J\x07", "a\nb\r\nc", "\x85\u2028", "\ufffe", "\U0010ffff", "x" * 20_000),
    *("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00"),
    *("{12345678-1234-5678-1234-567812345678}", "12345678123456781234567812345678", "{{nobody}}", "{{" * 500),
    *("{{$ref:1}}", "{{$ref:\u0661}}", "{{$ref:1_3}}", "{{$ref:" + "9" * 400 + "}}", "javascript:alert(1)", "../../x"),
    *("https://user:pw@host/", "http://[", "'; drop table events; --", "${jndi:ldap://x}", "%00", "%s%n", "\\u0000"),
]
RAW_TEXTS = [
    *(b'"\\u0000"', b'"a\\u0000b"', b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\uD83D\\uDE00"', b'"a\tb"'),
    *(b'"\xff"', b'"\xed\xa0\x80"'),
]
SHAPES = [
    *(b"null", b"true", b"false", b"[]", b"{}", b"[null]", b"[[]]", b'{"": ""}', b'{"a": 1, "a": 2}', b'{"$ref": 1}'),
    *(b'{"$ref": "1_3"}', b'{"$ref": 1e0}', b'{"$text": "x"}', b'{"a/b~c": 1}', b'{"__proto__": 1}', b'{"`": 1}'),
    *(b"[" + b",".join([b"0"] * 1000) + b"]", b'{"' + b"k" * 5000 + b'": 1}', b"[" * 90 + b"]" * 90, b"[" * 2000),
    b'{"a":' * 90 + b"1" + b"}" * 90,
]
ODD = [*NUMBERS, *(json.dumps(text, ensure_ascii=False).encode() for text in TEXTS), *RAW_TEXTS, *SHAPES]
"""JSON values, valid and invalid."""

PLAIN = [
    *("", "0", "-1", "-0", "+1", "01", "1_3", "1.0", "1e3", "%20" + "1", "1%20", "%D9%A1", "9" * 20, "9" * 400, "NaN"),
    *(
        "null",
        "true",
        "True",
        "TRUE",
        "1",
        "yes",
        "undefined",
        "%00",
        "a%00b",
        "%FF",
        "%ED%A0%80",
        "%C3%28",
        "%",
        "%zz",
    ),
    *("%2F", "%2e%2e", "..%2f..%2fx", "%7B12345678-1234-5678-1234-567812345678%7D", "1234567812345678123456781234567g"),
    *("12345678123456781234567812345678", "urn:uuid:12345678-1234-5678-1234-567812345678", "x" * 1500, "'", "%22", "*"),
    *("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00%2B23:59", "2026-W47-1", "%E2%80%AE", "a,b", "a&a=b", ";", "[]"),
]
"""Values for paths and queries, percent-encoded or invalid."""
HEADERS = [
    *(
        "",
        " ",
        "*",
        '"3"',
        '"03"',
        'W/"3"',
        '"3", "4"',
        "3",
        '"',
        '""',
        "bytes=0-1",
        "bytes=-0",
        "bytes=9-1",
        "x" * 300,
    ),
    *("bytes=" + "9" * 400 + "-", "items=0-1", "bytes=0-0,2-3", "999999999", "9" * 400, "\u0661", "-1", "1_3", "a, b"),
    *("collections:1:999999", "collections:0:1", "collections:1:1," * 40, "caf\u00e9", "text/plain", "application/xml"),
    *(
        "application/json; charset=utf-16",
        "a/b; charset=\u00e9",
        "%E2%80%AE.png",
        "%ff.png",
        "..",
        "nul.txt",
        "a%00.png",
    ),
]


class Body(NamedTuple):
    pointer: str
    """JSON pointer of the replaced value."""
    raw: bytes


def share(values: list[T], of: int, turn: int) -> list[T]:
    """Every `of`-th of the values, beginning with another one at each turn, so that all values are used."""
    return values[turn % of :: of]


def bodies(example: Any, of: int) -> Iterator[Body]:
    """The example with each of its values replaced, and with members removed, duplicated and added."""
    for turn, (pointer, parent, key) in enumerate(_places(example)):
        for odd in share(ODD, of, turn):
            yield Body(pointer, _written(example, parent, key, odd))
        if isinstance(parent, dict):
            yield Body(pointer, _written(example, parent, key, None))
            yield Body(pointer, _written(example, parent, key, b"1, " + json.dumps(key).encode() + b": 2"))
    for pointer, value in _objects(example, ""):
        raw = json.dumps(value).encode()
        with_more = raw[:-1] + (b", " if value else b"") + b'"unheard_of": 1}'
        yield Body(f"{pointer}/unheard_of", json.dumps(example).encode().replace(raw, with_more, 1))


def _places(value: Any, pointer: str = "", parent: Any = None, key: Any = None) -> Iterator[tuple[str, Any, Any]]:
    yield pointer, parent, key
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _places(member, f"{pointer}/{name}", value, name)
    elif isinstance(value, list):
        for index, item in enumerate(value[:2]):
            yield from _places(item, f"{pointer}/{index}", value, index)


def _objects(value: Any, pointer: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        yield pointer, value
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from _objects(child, f"{pointer}/{key}")


def _written(value: Any, parent: Any, key: Any, odd: bytes | None) -> bytes:
    """The example as JSON with one value replaced by `odd`, or removed if that is None."""
    if parent is None:
        return b"" if odd is None else odd

    def write(node: Any) -> bytes:
        if isinstance(node, dict):
            members = [(name, b"@@" if node is parent and name == key else write(item)) for name, item in node.items()]
            remaining = [(name, raw if raw != b"@@" else odd) for name, raw in members]
            return (
                b"{"
                + b", ".join(json.dumps(name).encode() + b": " + raw for name, raw in remaining if raw is not None)
                + b"}"
            )
        if isinstance(node, list):
            items = [odd if node is parent and index == key else write(item) for index, item in enumerate(node)]
            return b"[" + b", ".join(raw for raw in items if raw is not None) + b"]"
        return json.dumps(node).encode()

    return write(value)


def exists(pointer: str, document: Any) -> bool:
    """Whether a JSON pointer names a value in a document."""
    if pointer == "":
        return True
    for token in pointer.removeprefix("/").split("/"):
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict) and name in document:
            document = document[name]
        elif isinstance(document, list) and name.isdecimal() and int(name) < len(document):
            document = document[int(name)]
        else:
            return False
    return True
