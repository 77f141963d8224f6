"""Authentication by bearer tokens (RFC 6750, JWT), verified in every service, so that no header of the edge is trusted.

The type of a key determines its algorithm; the token's own claim is never used. Routes need the role user or operator
unless their `opt` states otherwise: `{"public": True}` needs no token, `{"public": True, "recognizes": True}` none but
uses one that is sent, and `{"roles": {"worker", …}}` needs one of these roles.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

import jwt
import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.types import ASGIApp, Guard, Receive, Scope, Send

from shared.contracts.problem import Problem
from shared.http.jwks import MIN_INTERVAL, Issuer, KeySet, KeysUnavailable, VerificationKey

__all__ = ["Authenticator", "Issuer", "Principal", "authentication", "require_role"]

DEFAULT_ROLES = frozenset({"user", "operator"})
LEEWAY = 10.0
"""Seconds by which clocks may differ."""
MAX_TOKEN = 8 * 1024
"""Bytes."""
CACHE_SIZE = 10_000
"""Verified tokens that are remembered."""

Connection = ASGIConnection[Any, Any, Any, Any]
Headers = Iterable[tuple[bytes, bytes]]


class Principal(msgspec.Struct, frozen=True):
    """The verified user of a request: `request.user`."""

    user_id: UUID
    roles: frozenset[str]
    claims: dict[str, Any]


class _Verified(msgspec.Struct, frozen=True):
    principal: Principal
    expires_at: float
    issuer: str
    generation: int


def _invalid_token(why: str) -> Problem:
    return Problem("UNAUTHENTICATED", f"The bearer token is not valid: {why}")


class Authenticator:
    """Verifies tokens of these issuers for one audience; verified ones are cached until they expire."""

    def __init__(
        self,
        issuers: Iterable[Issuer],
        audience: str,
        *,
        min_refresh_interval: float = MIN_INTERVAL,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._issuers = {issuer.iss: issuer for issuer in issuers}
        self._keys = {iss: KeySet(issuer.jwks_url, min_refresh_interval) for iss, issuer in self._issuers.items()}
        self._audience = audience
        self._clock = clock
        self._verified: dict[bytes, _Verified] = {}

    async def authenticate(self, headers: Headers) -> Principal:
        """The principal of a request's headers. Raises as `verify`, and UNAUTHENTICATED without one bearer token."""
        values = [value for name, value in headers if name == b"authorization"]
        if not values:
            raise Problem("UNAUTHENTICATED", "This needs a token: send Authorization: Bearer <JWT>")
        scheme, _, token = values[0].partition(b" ")
        if len(values) > 1 or scheme.lower() != b"bearer":
            raise Problem("UNAUTHENTICATED", "Send exactly one Authorization header, with the scheme Bearer")
        return await self.verify(token.strip())

    async def verify(self, token: bytes) -> Principal:
        """The principal of a token. Raises UNAUTHENTICATED, and UNAVAILABLE if its issuer's keys can't be fetched."""
        if len(token) > MAX_TOKEN:
            raise _invalid_token(f"it has more than {MAX_TOKEN} bytes")
        digest = hashlib.sha256(token).digest()
        cached = self._verified.get(digest)
        if cached is not None:
            if cached.generation == self._keys[cached.issuer].generation and self._clock() < cached.expires_at:
                return cached.principal
            del self._verified[digest]
        verified = await self._verify(token)
        if len(self._verified) >= CACHE_SIZE:
            del self._verified[next(iter(self._verified))]
        self._verified[digest] = verified
        return verified.principal

    async def has_keys(self, iss: str) -> bool:
        """Whether the keys of an issuer are cached, or can be fetched now."""
        try:
            await self._keys[iss].get(None)
        except KeysUnavailable:
            return False
        return True

    async def _verify(self, token: bytes) -> _Verified:
        try:
            header = jwt.get_unverified_header(token)
            claimed = jwt.decode(token, options={"verify_signature": False}).get("iss")
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise _invalid_token("it is not a JWT") from error
        issuer = self._issuers.get(claimed) if isinstance(claimed, str) else None
        if issuer is None:
            raise _invalid_token("its issuer (iss) is not accepted here")
        key = await self._key(issuer, header)
        try:
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm],
                audience=self._audience,
                issuer=issuer.iss,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
            user_id = UUID(claims["sub"])
            expires_at = float(claims["exp"]) + LEEWAY
        except jwt.PyJWTError as error:
            raise _invalid_token(_reason(error)) from error
        except (ValueError, TypeError, OverflowError) as error:
            raise _invalid_token("sub is not a UUID, or exp is not a time") from error
        if expires_at <= self._clock():
            raise _invalid_token("it has expired")
        claimed_roles = claims.get("roles")
        listed = claimed_roles if isinstance(claimed_roles, list) else []
        roles = frozenset(role for role in listed if isinstance(role, str))
        return _Verified(
            principal=Principal(user_id, roles & issuer.roles_allowed, claims),
            expires_at=expires_at,
            issuer=issuer.iss,
            generation=self._keys[issuer.iss].generation,
        )

    async def _key(self, issuer: Issuer, header: dict[str, Any]) -> VerificationKey:
        kid = header.get("kid")
        if kid is not None and not isinstance(kid, str):
            raise _invalid_token("kid is not a string")
        try:
            key = await self._keys[issuer.iss].get(kid)
        except KeysUnavailable as error:
            raise Problem(
                "UNAVAILABLE", "The token's keys can't be fetched right now; try again in a moment"
            ) from error
        if key is None:
            raise _invalid_token("its issuer has no key with its key id (kid)")
        if header.get("alg") != key.algorithm:
            raise _invalid_token("its algorithm (alg) is not that of its key")
        return key


def _reason(error: jwt.PyJWTError) -> str:
    match error:
        case jwt.ExpiredSignatureError():
            return "it has expired"
        case jwt.ImmatureSignatureError():
            return "it is not valid yet"
        case jwt.InvalidAudienceError():
            return "it is for another audience (aud)"
        case jwt.MissingRequiredClaimError():
            return f"{error.claim} is missing"
        case jwt.InvalidSignatureError():
            return "its signature is wrong"
        case _:
            return "its claims are not valid"


def check_roles(principal: Principal, allowed: Iterable[str]) -> None:
    """Raises FORBIDDEN unless the principal has one of the roles."""
    if principal.roles.isdisjoint(allowed):
        raise Problem("FORBIDDEN", f"This needs the role {' or '.join(sorted(allowed))}")


def authentication(authenticator: Authenticator) -> Callable[[ASGIApp], ASGIApp]:
    """Litestar middleware for the whole app: sets `request.user` from the token, and checks the route's roles.

    It is plain ASGI rather than a guard, since Litestar copies the route handler for each guarded request.
    """

    def wrap(app: ASGIApp) -> ASGIApp:
        async def authenticated(scope: Scope, receive: Receive, send: Send) -> None:
            options: Mapping[str, Any] = scope["route_handler"].opt
            anonymous = not any(name == b"authorization" for name, _ in scope["headers"])
            if scope.get("method") == "OPTIONS" or (
                options.get("public") and (anonymous or not options.get("recognizes"))
            ):
                scope["user"] = None
            else:
                principal = await authenticator.authenticate(scope["headers"])
                check_roles(principal, options.get("roles", DEFAULT_ROLES))
                scope["user"] = principal
            await app(scope, receive, send)

        return authenticated

    return wrap


def require_role(*roles: str) -> Guard:
    """A guard for routes that need one of these roles, such as `guards=[require_role("operator")]`.

    `opt={"roles": {"operator"}}` does the same at less cost; a guard can further restrict what a router allows.
    """

    def guard(connection: Connection, _handler: BaseRouteHandler) -> None:
        check_roles(connection.user, roles)

    return guard
