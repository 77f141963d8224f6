"""Passes requests on to services: finds the route, verifies the token, and bounds the body.

`exchange.py` handles one request and its response; `attempts.py` chooses replicas, retries, and bounds the time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import unquote

import aiohttp
from litestar.types import HTTPScope, Receive, Send

from services.edge.cors import ANY_ORIGIN, may_preflight, send_permission
from services.edge.forwarding.attempts import Attempts, ServiceRequest
from services.edge.forwarding.exchange import Exchange
from services.edge.forwarding.limits import Limits
from services.edge.forwarding.repetition import repetition_of
from services.edge.forwarding.replicas import Replicas
from services.edge.forwarding.request_body import RequestBody
from services.edge.forwarding.user_positions import UserPositions
from services.edge.headers import request_headers
from services.edge.routing import RoutingTable, Rule, Upstream
from services.edge.streams.shared_streams import SharedStreams, StreamKey, requested_start
from shared.contracts.problem import Problem
from shared.http import Authenticator, Principal
from shared.http.auth import check_roles
from shared.http.context import request_trace
from shared.http.ingress import is_head
from shared.http.positions import HEADER


@dataclass
class Proxy:
    """An ASGI application. Raises NOT_FOUND, UNAUTHENTICATED, FORBIDDEN, PAYLOAD_TOO_LARGE and UNAVAILABLE."""

    session: aiohttp.ClientSession
    replicas: Mapping[Upstream, Replicas]
    authenticator: Authenticator
    limits: Limits = field(default_factory=Limits)
    table: RoutingTable = field(default_factory=RoutingTable)
    positions: UserPositions = field(default_factory=UserPositions)
    streams: SharedStreams = field(default_factory=SharedStreams)

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        raw_path = scope["raw_path"].decode("latin-1")
        method = "HEAD" if is_head(scope) else scope["method"]
        path = unquote(raw_path)
        if may_preflight(scope, self.table, path):
            await send_permission(send)
            return
        rule = self.table.match(method, path)
        if rule is None:
            raise Problem("NOT_FOUND", "No operation has this method and path; /schema lists all")
        request_trace(scope).route = rule.pattern
        user = await self._authenticated(scope, rule)
        limit = rule.body or (self.limits.upload if rule.upload else self.limits.body)
        body = RequestBody(list(scope["headers"]), receive, limit, self.limits.idle)
        request = self._service_request(scope, method, raw_path, body, user, rule)
        key, after = None, None
        if user is not None and rule.shared and method == "GET" and body.is_small:
            key, after = StreamKey(user.user_id, frozenset(user.roles), raw_path), requested_start(scope)
        exchange = Exchange(
            request,
            partial(Attempts, self.session, self.replicas[rule.upstream], self.limits, request),
            receive,
            send,
            service=rule.upstream,
            route=rule.pattern,
            note_position=None if user is None else partial(self.positions.note, user.user_id),
            more_headers=ANY_ORIGIN if rule.roles is None else (),
        )
        await exchange.run(self.streams, key, after)

    async def _authenticated(self, scope: HTTPScope, rule: Rule) -> Principal | None:
        """The user, None where anyone may ask. Raises UNAUTHENTICATED, FORBIDDEN."""
        if rule.roles is None:
            return None
        principal = await self.authenticator.authenticate(scope["headers"])
        check_roles(principal, rule.roles)
        return principal

    def _service_request(
        self, scope: HTTPScope, method: str, raw_path: str, body: RequestBody, user: Principal | None, rule: Rule
    ) -> ServiceRequest:
        query = scope["query_string"].decode("latin-1")
        headers = request_headers(scope, request_trace(scope))
        if user is not None and (positions := self.positions.of(user.user_id)):
            headers.append((HEADER, positions))
        return ServiceRequest(
            method,
            f"{raw_path}?{query}" if query else raw_path,
            headers,
            body,
            repetition_of(method, scope["headers"], is_versioned=rule.versioned),
            self.limits,
        )
