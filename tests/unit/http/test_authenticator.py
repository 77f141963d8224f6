"""Verification of tokens, and the cache of issuers' keys."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from litestar import Litestar, get

from shared.contracts.problem import Problem
from shared.http import jwks
from shared.http.auth import Authenticator, Issuer
from tests.support.serving import free_port, serving
from tests.support.tokens import AUDIENCE, TokenIssuer


def authenticator(folder: Path, *issuers: TokenIssuer, **options: Any) -> Authenticator:
    return Authenticator([Issuer(issuer.iss, issuer.jwks_file(folder)) for issuer in issuers], AUDIENCE, **options)


def b64(value: bytes | dict[str, Any]) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256"])
async def test_accepts_tokens_signed_with_a_key_of_their_issuer(tmp_path: Path, algorithm: str) -> None:
    """With EdDSA, ES256 and RS256 keys; the principal has the token's sub and roles."""
    issuer = TokenIssuer(algorithm=algorithm)
    user = uuid4()

    principal = await authenticator(tmp_path, issuer).verify(issuer.token(user, "user", "operator").encode())

    assert principal.user_id == user
    assert principal.roles == {"user", "operator"}


def alg_none(issuer: TokenIssuer) -> str:
    _, payload, _ = issuer.token().split(".")
    return f"{b64({'alg': 'none', 'typ': 'JWT', 'kid': issuer.kid})}.{payload}."


def hmac_with_the_public_key(issuer: TokenIssuer) -> str:
    _, payload, _ = issuer.token().split(".")
    signed = f"{b64({'alg': 'HS256', 'typ': 'JWT', 'kid': issuer.kid})}.{payload}"
    secret = base64.urlsafe_b64decode(issuer.jwk["x"] + "==")
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def altered_payload(issuer: TokenIssuer) -> str:
    header, _, signature = issuer.token().split(".")
    other = issuer.token(None, "operator").split(".")[1]
    return f"{header}.{other}.{signature}"


def signed_by_another(issuer: TokenIssuer) -> str:
    return TokenIssuer(issuer.iss, kid=issuer.kid).token()


REFUSED: dict[str, Callable[[TokenIssuer], str]] = {
    "no token at all": lambda _: "",
    "three random parts": lambda _: "a.b.c",
    "no JSON inside": lambda _: f"{b64(b'nothing')}.{b64(b'nothing')}.{b64(b'nothing')}",
    "a list for claims": lambda issuer: f"{issuer.token().split('.')[0]}.{b64(b'[]')}.x",
    "a very deep header": lambda _: f"{b64(b'[' * 5000)}.{b64(b'{}')}.x",
    "alg none": alg_none,
    "HS256 with the public key as secret": hmac_with_the_public_key,
    "another payload under a good signature": altered_payload,
    "another key under the same id": signed_by_another,
    "an unknown key id": lambda issuer: issuer.token(headers={"kid": "other"}),
    "a key id that is no string": lambda issuer: issuer.token().replace(
        issuer.token().split(".")[0], b64({"alg": "EdDSA", "kid": 7})
    ),
    "an unknown issuer": lambda _: TokenIssuer("https://elsewhere.test").token(),
    "an issuer that is no string": lambda issuer: f"{issuer.token().split('.')[0]}.{b64({'iss': [issuer.iss]})}.x",
    "no issuer": lambda issuer: issuer.token(iss=None),
    "another audience": lambda issuer: issuer.token(aud="somewhere-else"),
    "no audience": lambda issuer: issuer.token(aud=None),
    "expired": lambda issuer: issuer.token(exp=int(time.time()) - 60),
    "no expiry": lambda issuer: issuer.token(exp=None),
    "an expiry that is no number": lambda issuer: issuer.token(exp="soon"),
    "an expiry that no float holds": lambda issuer: issuer.token(exp=10**310),
    "an expiry of 4300 digits": lambda issuer: issuer.token(exp=10**4299),
    "an expiry in other digits": lambda issuer: issuer.token(exp="1_0"),
    "an issue date that no float holds": lambda issuer: issuer.token(iat=10**310),
    "a beginning that no float holds": lambda issuer: issuer.token(nbf=10**310),
    "not valid yet": lambda issuer: issuer.token(nbf=int(time.time()) + 60),
    "sub that is no UUID": lambda issuer: issuer.token("admin"),
    "no sub": lambda issuer: issuer.token(sub=None),
    "too long": lambda issuer: issuer.token(filler="x" * 9000),
}


@pytest.mark.parametrize("forge", REFUSED.values(), ids=REFUSED.keys())
async def test_rejects_invalid_tokens(tmp_path: Path, forge: Callable[[TokenIssuer], str]) -> None:
    """Every fault of a token is answered UNAUTHENTICATED."""
    issuer = TokenIssuer()
    with pytest.raises(Problem) as refusal:
        await authenticator(tmp_path, issuer).verify(forge(issuer).encode())
    assert refusal.value.code == "UNAUTHENTICATED"


async def test_clocks_may_differ_by_the_leeway(tmp_path: Path) -> None:
    """For exp and nbf."""
    issuer = TokenIssuer()
    verifier = authenticator(tmp_path, issuer)
    now = int(time.time())
    assert await verifier.verify(issuer.token(exp=now - 3).encode())
    assert await verifier.verify(issuer.token(nbf=now + 3).encode())


async def test_roles_are_limited_to_those_of_the_issuer(tmp_path: Path) -> None:
    """A grant's issuer can give the role worker only; malformed roles are ignored."""
    issuer = TokenIssuer("emprops-generation")
    verifier = Authenticator(
        [Issuer(issuer.iss, issuer.jwks_file(tmp_path), roles_allowed=frozenset({"worker"}))], AUDIENCE
    )
    assert (await verifier.verify(issuer.token(None, "worker", "operator").encode())).roles == {"worker"}
    assert (await verifier.verify(issuer.token(roles="worker").encode())).roles == frozenset()
    assert (await verifier.verify(issuer.token(roles=[{"a": 1}, "worker"]).encode())).roles == {"worker"}


async def test_a_key_verifies_only_tokens_of_its_issuer(tmp_path: Path) -> None:
    """A token naming issuer A, signed with the key of issuer B, is refused."""
    first, second = TokenIssuer("https://a.test", kid="a"), TokenIssuer("https://b.test", kid="b")
    with pytest.raises(Problem, match="no key with its key id"):
        await authenticator(tmp_path, first, second).verify(second.token(iss=first.iss).encode())


async def test_cached_tokens_expire(tmp_path: Path) -> None:
    """The cache of verified tokens ends with the token."""
    issuer = TokenIssuer()
    now = [time.time()]
    verifier = authenticator(tmp_path, issuer, clock=lambda: now[0])
    token = issuer.token().encode()
    await verifier.verify(token)
    now[0] += 3600
    with pytest.raises(Problem, match="expired"):
        await verifier.verify(token)


class KeyHost:
    """A JWKS endpoint whose keys can be changed, and which counts its requests."""

    def __init__(self, *issuers: TokenIssuer) -> None:
        self.issuers = list(issuers)
        self.requests = 0

    def app(self) -> Litestar:
        @get("/jwks", sync_to_thread=False)
        def jwks() -> dict[str, Any]:
            self.requests += 1
            return {"keys": [issuer.jwk for issuer in self.issuers]}

        return Litestar([jwks], openapi_config=None)


async def test_an_unknown_key_id_fetches_the_keys_again() -> None:
    """A rotated key is accepted with its first token; a withdrawn one is rejected, even for a cached token."""
    old, new = TokenIssuer(kid="old"), TokenIssuer(kid="new")
    host = KeyHost(old)
    async with serving(host.app()) as url:
        verifier = Authenticator([Issuer(old.iss, f"{url}/jwks")], AUDIENCE, min_refresh_interval=0)
        remembered = old.token().encode()
        await verifier.verify(remembered)

        host.issuers = [new]

        assert await verifier.verify(new.token().encode())
        with pytest.raises(Problem, match="no key with its key id"):
            await verifier.verify(remembered)


async def test_forged_key_ids_cause_no_flood_of_fetches() -> None:
    """A hundred unknown key ids within the interval cause one fetch at most."""
    issuer = TokenIssuer()
    host = KeyHost(issuer)
    async with serving(host.app()) as url:
        verifier = Authenticator([Issuer(issuer.iss, f"{url}/jwks")], AUDIENCE)
        await verifier.verify(issuer.token().encode())
        for number in range(100):
            with pytest.raises(Problem):
                await verifier.verify(issuer.token(headers={"kid": f"forged-{number}"}).encode())
    assert host.requests <= 2


async def test_cached_keys_are_used_while_their_host_is_down() -> None:
    """Tokens with unknown keys are rejected (401, not 503)."""
    issuer = TokenIssuer()
    async with serving(KeyHost(issuer).app()) as url:
        verifier = Authenticator([Issuer(issuer.iss, f"{url}/jwks")], AUDIENCE, min_refresh_interval=0)
        await verifier.verify(issuer.token().encode())

    assert await verifier.verify(issuer.token().encode())
    with pytest.raises(Problem) as refusal:
        await verifier.verify(TokenIssuer(kid="unknown").token().encode())
    assert refusal.value.code == "UNAUTHENTICATED"


async def test_keys_are_fetched_from_another_replica_while_one_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The URL that answered last is tried first from then on."""
    monkeypatch.setattr(jwks, "FETCH_TIMEOUT", 0.3)
    issuer = TokenIssuer()
    host = KeyHost(issuer)
    writers: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    async with silent, serving(host.app()) as url:
        urls = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}/jwks, {url}/jwks"
        verifier = Authenticator([Issuer(issuer.iss, urls)], AUDIENCE, min_refresh_interval=0)
        assert await verifier.verify(issuer.token().encode())
        with pytest.raises(Problem, match="no key with its key id"):
            await verifier.verify(TokenIssuer(kid="unknown").token().encode())
        assert (len(writers), host.requests) == (1, 2)
        for writer in writers:
            writer.close()


async def test_without_any_keys_the_answer_is_unavailable() -> None:
    """503, so that clients keep their tokens."""
    issuer = TokenIssuer()
    verifier = Authenticator([Issuer(issuer.iss, f"http://127.0.0.1:{free_port()}/jwks")], AUDIENCE)
    with pytest.raises(Problem) as refusal:
        await verifier.verify(issuer.token().encode())
    assert refusal.value.code == "UNAVAILABLE"


@pytest.mark.parametrize(
    "unfit",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "key-1"},
        {"kty": "unheard-of", "kid": "key-1"},
        {"kid": "key-1"},
    ],
)
async def test_unusable_keys_are_ignored(tmp_path: Path, unfit: dict[str, Any]) -> None:
    """Symmetric, unknown and broken keys in the set; the others are used."""
    issuer = TokenIssuer(kid="good")
    path = tmp_path / "set.json"
    path.write_text(json.dumps({"keys": [unfit, issuer.jwk]}))
    verifier = Authenticator([Issuer(issuer.iss, path.as_uri())], AUDIENCE)
    assert await verifier.verify(issuer.token().encode())
    with pytest.raises(Problem, match="no key with its key id"):
        await verifier.verify(issuer.token(headers={"kid": "key-1"}).encode())


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"Basic dXNlcjpwYXNz")],
        [(b"authorization", b"Bearer")],
        [(b"authorization", b"Bearer \xff\xfe")],
        [(b"authorization", b"Bearer x"), (b"authorization", b"Bearer y")],
    ],
)
async def test_needs_exactly_one_bearer_header(tmp_path: Path, headers: list[tuple[bytes, bytes]]) -> None:
    """Other schemes, two headers or none are UNAUTHENTICATED."""
    with pytest.raises(Problem) as refusal:
        await authenticator(tmp_path, TokenIssuer()).authenticate(headers)
    assert refusal.value.code == "UNAUTHENTICATED"
