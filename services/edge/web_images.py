"""Images from the web that a request names, fetched by storage: what one request needs of them, all or none."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID, uuid5

import msgspec

from services.edge.commands import Answer, Commands
from services.edge.forwarding.repetition import Repetition
from services.edge.routing import Upstream
from services.edge.template_images import WebImage
from shared.contracts.problem import Detail, Problem
from shared.contracts.web_images import FETCH
from shared.stopping import stop

FETCHING = "/assets/fetch"
AT_ONCE = 4
"""Images of one request that storage fetches at the same time."""
ONE_AT_A_TIME = Repetition(after_break=True, beside=False)
"""A stranger's server may be slow, which is no reason to read from it a second time, by another replica."""


class _StoredFile(msgspec.Struct, frozen=True):
    url: str


class _Stored(msgspec.Struct, frozen=True):
    data: _StoredFile


class _Refusal(msgspec.Struct, frozen=True):
    code: str
    detail: str
    details: list[Detail] = []


async def stored_images(
    commands: Commands, images: Sequence[WebImage], command_id: UUID, seconds: float
) -> dict[str, str]:
    """The addresses of the images in storage, by their URLs. `seconds` bounds all fetches together.

    The key of each fetch is derived from `command_id` and the URL: under the same one, an image is stored once.
    Raises the refusals of storage as one problem with the pointer of each image, UNAVAILABLE when time is over.
    """
    slots = asyncio.Semaphore(AT_ONCE)

    async def stored(url: str) -> str:
        key = str(uuid5(command_id, f"{FETCH} {url}"))
        async with slots:
            content = msgspec.json.encode({"url": url})
            answer = await commands.send(Upstream.STORAGE, FETCHING, content, key, repetition=ONE_AT_A_TIME)
        return _address(answer)

    fetches = {url: asyncio.create_task(stored(url)) for url in dict.fromkeys(image.url for image in images)}
    try:
        await asyncio.wait(fetches.values(), timeout=seconds)
        failures = {url: failure for url, task in fetches.items() if (failure := _failure(task)) is not None}
    finally:
        await stop(*fetches.values())
    if failures:
        raise _joint(images, failures)
    return {url: task.result() for url, task in fetches.items()}


def _address(answer: Answer) -> str:
    """The address of the file that storage has answered. Raises its refusal, whose detail is about the image."""
    try:
        if answer.status < 300:
            return msgspec.json.decode(answer.body, type=_Stored).data.url
        refusal = msgspec.json.decode(answer.body, type=_Refusal)
    except msgspec.MsgspecError as error:
        raise Problem("UNAVAILABLE", f"The storage service has answered {answer.status}") from error
    raise Problem(refusal.code, refusal.detail, *refusal.details)


def _failure(fetch: asyncio.Task[str]) -> Problem | None:
    """Why there is no address; None if there is one. Raises what is no refusal."""
    if not fetch.done():
        return Problem("UNAVAILABLE", "An image was not stored in time")
    error = fetch.exception()
    if error is None or isinstance(error, Problem):
        return error
    raise error


def _joint(images: Iterable[WebImage], failures: Mapping[str, Problem]) -> Problem:
    """One problem for all failures with the same code: that of the first which time alone does not mend."""
    lasting = (failure for failure in failures.values() if failure.code != "UNAVAILABLE")
    first = next(lasting, next(iter(failures.values())))
    details = [
        Detail(image.pointer, failures[image.url].details[0].message if failures[image.url].details else first.detail)
        for image in images
        if image.url in failures and failures[image.url].code == first.code
    ]
    return Problem(first.code, first.detail, *details)
