"""Settings of the http worker, beside those of every worker."""

from typing import Annotated

import msgspec

from workers.kit.settings import WorkerSettings


class HttpApiSettings(WorkerSettings, frozen=True, kw_only=True):
    """Durations are in seconds."""

    worker_concurrency: Annotated[int, msgspec.Meta(ge=1, le=256)] = 8
    """Steps that run at the same time; most of them wait for their API."""
    emprops_private_hosts: str = ""
    """Hosts, addresses and networks (CIDR), comma-separated, that may be called although they are not public."""
    api_file_max_bytes: Annotated[int, msgspec.Meta(ge=1)] = 512 * 1024 * 1024
    """The largest file that an API's answer may name."""
