"""The addresses of stored files in texts, as storage writes them without a CDN: `…/assets/7/content`."""

import re
from typing import Any

import msgspec

_FILE = re.compile(rb"/assets/([1-9][0-9]{0,17})/content")


def files_in(document: Any) -> list[int]:
    """The ids of the files whose addresses are in a JSON value, each once, in their order."""
    return list(dict.fromkeys(int(number) for number in _FILE.findall(msgspec.json.encode(document))))
