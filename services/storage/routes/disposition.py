"""Content-Disposition (RFC 6266): whether a file is shown or saved, and under which name."""

import re
from typing import Annotated
from urllib.parse import quote

from litestar.params import QueryParameter

Download = Annotated[bool, QueryParameter(description="Save it instead of showing it")]

_NOT_PLAIN = re.compile(r'[^ -~]|["\\%]')


def disposition(name: str, *, download: bool) -> str:
    """The header's value for a name of any characters.

    `filename*` has the name itself in percent-encoded UTF-8 (RFC 8187). `filename` is for clients that don't know it:
    characters that it can't have in all of them are `_` there: those outside of ASCII, `%`, quotation mark, backslash.
    """
    kind = "attachment" if download else "inline"
    return f"{kind}; filename=\"{_NOT_PLAIN.sub('_', name)}\"; filename*=UTF-8''{quote(name, safe='')}"
