"""A payload's URL comes from a user: which hosts a worker connects to, and which get the step's token."""

import pytest

from workers.kit.addresses import Addresses
from workers.kit.faults import StepFault

UPLOAD = "http://storage:8004/uploads"
ADDRESSES = Addresses("https://emprops.example/api", ["cdn.example", "local.example:8080"])


@pytest.mark.parametrize(
    ("link", "read_at", "bearer"),
    [
        ("http://storage:8004/assets/7/content", "http://storage:8004/assets/7/content", True),
        ("https://emprops.example/api/assets/7/content", "http://storage:8004/assets/7/content", True),
        ("https://emprops.example:443/api/assets/7/content?x=1", "http://storage:8004/assets/7/content", True),
        ("https://cdn.example/a/b.png?sig=1", "https://cdn.example/a/b.png?sig=1", False),
        ("https://CDN.example/a.png", "https://cdn.example/a.png", False),
        ("http://local.example:8080/a.png", "http://local.example:8080/a.png", False),
    ],
)
def test_what_is_read(link: str, read_at: str, bearer: bool) -> None:  # noqa: FBT001 - a column of the table
    address = ADDRESSES.of(link, UPLOAD, "image")
    assert (str(address.url), address.bearer) == (read_at, bearer)


@pytest.mark.parametrize(
    "link",
    [
        "",
        "/assets/7/content",
        "file:///etc/passwd",
        "ftp://storage:8004/a",
        "data:image/png;base64,AAAA",
        "http://",
        "http://[::1",
        "http://storage:99999/a",
        "http://user:password@storage:8004/assets/7/content",
        "http://storage:8005/assets/7/content",
        "https://storage:8004/assets/7/content",
        "http://storage.evil.example/assets/7/content",
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:8004/assets/7/content",
        "http://localhost/",
        "https://emprops.example/assets/7/content",
        "https://emprops.example/api/credits",
        "https://emprops.example/api/assets/../credits",
        "https://emprops.example/api/assets/7/content/../../../credits",
        "https://emprops.example.evil/api/assets/7/content",
        "https://cdn.example:8443/a.png",
        "https://local.example/a.png",
        "https://sub.cdn.example/a.png",
        "https://cdn.example@evil.example/a.png",
    ],
)
def test_everything_else_is_refused_for_good(link: str) -> None:
    with pytest.raises(StepFault) as refused:
        ADDRESSES.of(link, UPLOAD, "image")
    assert (refused.value.error.code, refused.value.error.retryable) == ("INPUT_REFUSED", False)
    assert refused.value.error.message.startswith("/image: ")
