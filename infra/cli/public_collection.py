"""What a platform publishes about a collection, and whether a package is one of those that it lists."""

import asyncio
import re
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import aiohttp
import msgspec

from infra.cli.options import fail
from shared.content.difference import Difference
from shared.content.package import MANIFEST
from shared.content.verification import Verified

ANSWERS_WITHIN = 60.0
"""Seconds."""
MAX_ANSWER = 16 * 1024 * 1024
"""Bytes."""
_PAGE = re.compile(r"/c/([^/]+)(?:/[0-9]+)?$")
"""The end of the address of a collection's page, or of a token's."""


class PublicProvenance(msgspec.Struct, frozen=True):
    hash: str


class PublicPackage(msgspec.Struct, frozen=True):
    """A package that is listed as published."""

    root: Annotated[str, msgspec.Meta(min_length=1)]
    provenance: PublicProvenance
    job_id: str


class PublicCollection(msgspec.Struct, frozen=True):
    """What is compared of `GET /collections/{id}/public`. `packages`: the newest first."""

    id: UUID
    packages: list[PublicPackage]


class _Answer(msgspec.Struct, frozen=True):
    data: PublicCollection


def public_collection(url: str) -> PublicCollection:
    """What is public of the collection at `url`. Ends the command if that can't be read.

    `url` is its address in the API, with or without `/public`, or that of its page or of a token's, as metadata has it.
    """
    address = f"{api_address(url)}/public"
    try:
        status, body = asyncio.run(_get(address))
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        fail(f"{address} does not answer: {type(error).__name__}")
    if status == HTTPStatus.NOT_FOUND:
        fail(f"{address}: the collection does not exist, or is not published")
    if status != HTTPStatus.OK:
        advice = ": try again in a moment" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else ""
        fail(f"{address} answers with status {status}{advice}")
    try:
        return msgspec.json.decode(body, type=_Answer).data
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        fail(f"{address} does not list the packages of a collection: {error}")


def api_address(url: str) -> str:
    """The address of a collection in the API: of that, of its `/public`, or of a page."""
    return _PAGE.sub(r"/collections/\1", url.rstrip("/")).removesuffix("/public")


def compare(verified: Verified, collection: PublicCollection, url: str) -> None:
    """Raises Difference unless the package is of this collection and is listed there."""
    if str(collection.id) != verified.collection_id:
        message = f"the package is of collection {verified.collection_id}, but {url} is {collection.id}"
        raise Difference(MANIFEST, 0, message, "/collection/id")
    listed = next((package for package in collection.packages if package.root == verified.root), None)
    if listed is None:
        roots = ", ".join(package.root for package in collection.packages) or "none"
        raise Difference("", 0, f"{url} does not list the package {verified.root} as published; it lists {roots}")
    for pointer, statement, fact in (
        ("/provenance/hash", listed.provenance.hash, verified.provenance),
        ("/job_id", listed.job_id, verified.job_id),
    ):
        if statement != fact:
            raise Difference(MANIFEST, 0, f"{url} says {statement}, but in the package it is {fact}", pointer)


async def _get(address: str) -> tuple[int, bytes]:
    """The status and the body, which is cut off after MAX_ANSWER bytes."""
    timeout = aiohttp.ClientTimeout(total=ANSWERS_WITHIN)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(address) as response:
        body = bytearray()
        async for chunk in response.content.iter_chunked(2**16):
            body += chunk
            if len(body) > MAX_ANSWER:
                break
        return response.status, bytes(body)
