"""A file's name is safe as it is, or it is refused: no user can write outside of their folder."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.storage.domain.paths import (
    MAX_NAME,
    clean_name,
    decode_name,
    media_type,
    upload_prefix,
)
from shared.contracts.grants import step_prefix
from shared.contracts.problem import Problem


@pytest.mark.parametrize(
    "name",
    ["image.png", "ein bild.png", "图像.png", "a", "..a", ".hidden", "100% cotton #1.png", "nulls.txt", "é" * 100],
)
def test_an_ordinary_name_is_kept(name):
    assert clean_name(name, "/name") == name


def test_a_name_is_never_repaired():
    """Composed or not, it stays as it was sent."""
    for name in ("e\u0301.png", "\u00e9.png"):
        assert clean_name(name, "/name") == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "...",
        "../secret",
        "a/b.png",
        "/etc/passwd",
        "..\\secret",
        "C:evil",
        "a\x00.png",
        "a\r\nSet-Cookie: x",
        "a\u202egnp.exe",
        "a\u200b.png",
        "a\u2028.png",
        "\ud800.png",
        "\ue000.png",
        " image.png",
        "image.png ",
        "image.png\u00a0",
        "image.",
        "con",
        "NUL.txt",
        "a" * (MAX_NAME + 1),
        "é" * (MAX_NAME // 2 + 1),
        "what?.png",
    ],
)
def test_a_name_that_plays_tricks_is_refused_with_its_pointer(name):
    with pytest.raises(Problem) as refused:
        clean_name(name, "header:X-Filename")
    assert refused.value.code == "VALIDATION_FAILED"
    assert [detail.pointer for detail in refused.value.details] == ["header:X-Filename"]


@given(st.text(max_size=220))
def test_whatever_is_kept_stays_in_its_folder_and_is_kept_again(name):
    try:
        cleaned = clean_name(name, "/name")
    except Problem:
        return
    path = upload_prefix(UUID(int=1), UUID(int=2)) + cleaned
    assert path.count("/") == 3
    assert not any(part in {"", ".", ".."} for part in path.split("/"))
    assert cleaned.isprintable()
    assert len(cleaned.encode()) <= MAX_NAME
    assert cleaned == name


def test_a_header_carries_any_name_percent_encoded():
    assert decode_name("%E5%9B%BE%20a.png", "header:X-Filename") == "图 a.png"
    assert decode_name("plain name.png", "header:X-Filename") == "plain name.png"


@pytest.mark.parametrize("header", ["100%.png", "%zz", "%ff%fe", "caf\xe9.png"])
def test_a_header_that_is_not_encoded_utf_8_is_refused(header):
    with pytest.raises(Problem) as refused:
        decode_name(header, "header:X-Filename")
    assert refused.value.details[0].pointer == "header:X-Filename"


def test_encoded_traversal_is_traversal():
    with pytest.raises(Problem):
        clean_name(decode_name("%2e%2e%2fsecret", "header:X-Filename"), "header:X-Filename")


def test_paths_follow_the_scheme():
    user, job, gid, sid = (UUID(int=number) for number in range(1, 5))
    assert step_prefix(user, job, gid, sid) == f"generations/{user}/{job}/{gid}/{sid}/"
    assert upload_prefix(user, job) == f"uploads/{user}/{job}/"


CHARSETS = ["text/plain; charset=", "text/plain; charset=a b", "a/b; charset=x; charset=y"]


def test_a_media_type_is_its_type_and_subtype():
    assert media_type("Image/PNG; q=1") == "image/png"
    assert media_type('text/Plain;format=flowed; Charset="Shift_JIS"') == "text/plain; charset=shift_jis"
    assert media_type("image/svg+xml") == "image/svg+xml"
    assert media_type(None) == "application/octet-stream"
    for header in [
        "",
        "png",
        "image/",
        "image/png\x00",
        "a b/c",
        "image/" + "x" * 200,
        "text/plain; charset=",
        "a/b; charset=x; charset=y",
    ]:
        with pytest.raises(Problem) as refused:
            media_type(header)
        assert refused.value.code == "UNSUPPORTED_MEDIA_TYPE"
