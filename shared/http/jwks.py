"""The public keys of token issuers (RFC 7517): fetched, refreshed, and cached for outages of their host."""

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp
import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from shared.telemetry.logging import get_logger

log = get_logger("jwks")

MAX_DOCUMENT = 256 * 1024
FETCH_TIMEOUT = 2.0
"""Seconds, for each URL."""
REFRESH_AFTER = 300.0
"""Seconds after which keys are fetched again in the background."""
MIN_INTERVAL = 10.0
"""Seconds between two fetches because of unknown key ids, so that forged ids can't cause a flood of requests."""
RETRY_INTERVAL = 1.0
"""Seconds between two fetches while there are no keys at all."""


@dataclass(frozen=True)
class Issuer:
    """An issuer of tokens: its `iss`, where its keys are, and the roles that its tokens can give at most."""

    iss: str
    jwks_url: str
    """An http, https or file URL; or several, comma-separated, of replicas that have the same keys."""
    roles_allowed: frozenset[str] = frozenset({"user", "operator"})


@dataclass(frozen=True)
class VerificationKey:
    """One public key with the only algorithm that it may be used with."""

    algorithm: str
    key: Any


class KeysUnavailable(Exception):  # noqa: N818 - a state, as StoreUnavailable is
    """The issuer's keys were never fetched, and can't be fetched now."""


def parse_jwks(document: bytes) -> dict[str, VerificationKey]:
    """The usable signing keys by key id. A key's type determines its algorithm; unsuitable entries are left out."""
    keys: dict[str, VerificationKey] = {}
    for entry in msgspec.json.decode(document, type=dict[str, Any]).get("keys", []):
        if entry.get("use", "sig") != "sig":
            continue
        try:
            key = jwt.PyJWK(entry).key
        except jwt.PyJWTError as error:
            log.warning("unusable key ignored", kid=entry.get("kid"), error=str(error))
            continue
        algorithm = _algorithm_of(key)
        if algorithm is not None and entry.get("alg", algorithm) == algorithm:
            keys[str(entry.get("kid", ""))] = VerificationKey(algorithm, key)
    return keys


def _algorithm_of(key: object) -> str | None:
    if isinstance(key, Ed25519PublicKey):
        return "EdDSA"
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return "ES256"
    if isinstance(key, RSAPublicKey) and key.key_size >= 2048:
        return "RS256"
    return None


@dataclass
class KeySet:
    """The keys of one issuer. `generation` counts their changes: a token that older keys verified is verified again.

    Of several URLs (comma-separated in `url`), the one that answered last is tried first.
    """

    url: str
    min_interval: float = MIN_INTERVAL
    refresh_after: float = REFRESH_AFTER
    generation: int = 0
    _keys: dict[str, VerificationKey] = field(default_factory=dict)
    _document: bytes = b""
    _last_url: str = ""
    _fetched_at: float = float("-inf")
    _tried_at: float = float("-inf")
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _background: asyncio.Task[None] | None = None

    async def get(self, kid: str | None) -> VerificationKey | None:
        """The key with that id, or the only key if a token has no key id; None if the issuer has no such key.

        Raises KeysUnavailable if no keys were ever fetched.
        """
        if not self._keys or self._find(kid) is None:
            await self._refresh(RETRY_INTERVAL if not self._keys else self.min_interval)
        elif time.monotonic() - self._fetched_at > self.refresh_after and self._background is None:
            self._background = asyncio.create_task(self._refresh(self.min_interval))
            self._background.add_done_callback(self._background_done)
        if not self._keys:
            raise KeysUnavailable(self.url)
        return self._find(kid)

    def _find(self, kid: str | None) -> VerificationKey | None:
        if kid is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid)

    def _background_done(self, _task: asyncio.Task[None]) -> None:
        self._background = None

    async def _refresh(self, interval: float) -> None:
        called_at = time.monotonic()
        async with self._lock:
            # A fetch that ended while this call waited for the lock counts for it too.
            if self._tried_at > called_at or time.monotonic() - self._tried_at < interval:
                return
            try:
                for url in self._urls:
                    if await self._fetch_from(url):
                        self._last_url, self._fetched_at = url, time.monotonic()
                        return
            finally:
                self._tried_at = time.monotonic()

    @property
    def _urls(self) -> list[str]:
        return sorted((url.strip() for url in self.url.split(",")), key=lambda url: url != self._last_url)

    async def _fetch_from(self, url: str) -> bool:
        try:
            document = await _fetch(url)
            keys = parse_jwks(document)
        except (OSError, TimeoutError, aiohttp.ClientError, msgspec.MsgspecError, ValueError) as error:
            log.warning("keys can't be fetched; the cached ones stay in use", url=url, error=repr(error))
            return False
        if document != self._document:
            self._document, self._keys = document, keys
            self.generation += 1
        return True


async def _fetch(url: str) -> bytes:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return await asyncio.to_thread(Path(unquote(parts.path)).read_bytes)
    timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(url, allow_redirects=False, headers={"accept": "application/json"}) as response,
    ):
        response.raise_for_status()
        if response.status != 200:
            raise ValueError(f"status {response.status}")
        document = await response.content.read(MAX_DOCUMENT)
        while not response.content.at_eof() and len(document) <= MAX_DOCUMENT:
            document += await response.content.read(MAX_DOCUMENT)
        if len(document) > MAX_DOCUMENT:
            raise ValueError("the key set is too large")
        return document
