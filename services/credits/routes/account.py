"""A user's balance and ledger: now and as of earlier, as pages of JSON, as CSV, and as a page to print."""

from collections.abc import AsyncIterator
from datetime import datetime
from operator import attrgetter
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import MediaType, Response, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Stream

from services.credits.handlers import CommandHandlers
from services.credits.queries import EntryFilter, Kind, LedgerEntry, Queries
from services.credits.statements.csv_form import csv_pieces
from services.credits.statements.page_form import HEADERS, MAX_ENTRIES, statement_page
from services.credits.views import BalanceView, balance_view
from shared.contracts.problem import Detail, Problem, invalid
from shared.http import LAST_NUMBER, Cursor, Envelope, FromQuery, Limit, Page, User, cursor_number, next_cursor
from shared.http.amounts import ExactResponse
from shared.http.auth import Principal
from shared.http.positions import following
from shared.runtime import Runtime

UserId = Annotated[UUID | None, QueryParameter(description="For operators: of this user instead of you")]
At = Annotated[datetime | None, QueryParameter(description="As of this time, which has passed")]
Since = Annotated[datetime | None, QueryParameter(description="Recorded then or later")]
Until = Annotated[datetime | None, QueryParameter(description="Recorded before then")]
Format = Annotated[
    Literal["json", "csv", "html"],
    QueryParameter(description="`csv` and `html`: all entries instead of a page; `html` of 5,000 at most, to print"),
]


CSV_HEADERS = {
    "content-type": "text/csv; charset=utf-8; header=present",
    "content-disposition": 'attachment; filename="credits.csv"',
    "cache-control": "private, no-store",
    "x-content-type-options": "nosniff",
}


@get("/credits", summary="Your credits", response_class=ExactResponse, opt=following("generation"))
async def read_balance(
    principal: User,
    queries: NamedDependency[Queries],
    handlers: NamedDependency[CommandHandlers],
    runtime: NamedDependency[Runtime],
    at: At = None,
    user_id: UserId = None,
) -> Envelope[BalanceView]:
    """Credits that are available, held for jobs, and spent; now, with your limits, or as of any earlier moment."""
    owner, now = _account_of(principal, user_id), runtime.clock()
    if at is None:
        spending = (await handlers.account(owner)).spending
        return Envelope(balance_view(await queries.balance(owner, now), spending, now))
    if at > now:
        raise invalid("?at lies in the future", Detail("?at", "must have passed"))
    return Envelope(balance_view(await queries.balance_at(owner, at), None, at))


@get("/credits/entries", summary="Your ledger", response_class=ExactResponse, opt=following("generation"))
async def list_entries(
    principal: User,
    queries: NamedDependency[Queries],
    runtime: NamedDependency[Runtime],
    limit: Limit = 50,
    cursor: Cursor = None,
    job_id: FromQuery[UUID | None] = None,
    kind: FromQuery[Kind | None] = None,
    since: Since = None,
    until: Until = None,
    user_id: UserId = None,
    format: Format = "json",  # noqa: A002 - the name of the parameter
) -> Page[LedgerEntry]:
    """Every movement of your credits that meets all conditions, newest first, with its cause."""
    owner, chosen = _account_of(principal, user_id), EntryFilter(job_id, kind, since, until)
    is_operator = "operator" in principal.roles
    if format == "json":
        before = cursor_number(cursor, LAST_NUMBER)
        entries = await queries.entries(owner, before=before, limit=limit + 1, chosen=chosen)
        page = [entry if is_operator else _without_operators(entry, owner) for entry in entries[:limit]]
        return Page(page, next_cursor(entries, limit, attrgetter("position")))
    if cursor is not None:
        raise invalid("?cursor is of pages, in JSON", Detail("?cursor", f"has no meaning with format={format}"))
    await queries.entries(owner, before=LAST_NUMBER, limit=1)  # refuses before the response begins
    statement = _statement(queries.all_entries(owner, chosen), owner, is_operator=is_operator)
    if format == "csv":
        return _as_csv(statement)  # type: ignore[return-value]  # a response is sent as it is
    return await _as_page(statement, owner, chosen, runtime.clock())  # type: ignore[return-value]  # as above


def _account_of(principal: Principal, user_id: UUID | None) -> UUID:
    """The user whose account is read. Raises FORBIDDEN for another user's, unless for operators."""
    if user_id is None or user_id == principal.user_id or "operator" in principal.roles:
        return user_id or principal.user_id
    raise Problem("FORBIDDEN", "Only operators read the accounts of other users", Detail("?user_id", "is not you"))


def _without_operators(entry: LedgerEntry, owner: UUID) -> LedgerEntry:
    """As the user sees it: which operator gave or took credits is for operators."""
    if not entry.actor.startswith("user:") or entry.actor == f"user:{owner}":
        return entry
    return msgspec.structs.replace(entry, actor="operator")


async def _statement(
    entries: AsyncIterator[LedgerEntry], owner: UUID, *, is_operator: bool
) -> AsyncIterator[LedgerEntry]:
    async for entry in entries:
        yield entry if is_operator else _without_operators(entry, owner)


def _as_csv(entries: AsyncIterator[LedgerEntry]) -> Stream:
    return Stream(csv_pieces(entries), headers=CSV_HEADERS)


async def _as_page(
    entries: AsyncIterator[LedgerEntry], owner: UUID, chosen: EntryFilter, now: datetime
) -> Response[bytes]:
    listed = list[LedgerEntry]()
    async for entry in entries:
        listed.append(entry)
        if len(listed) > MAX_ENTRIES:
            message = f"shows at most {MAX_ENTRIES} entries: choose a shorter time with since and until, or format=csv"
            raise invalid(f"A page {message}", Detail("?format", message))
    return Response(statement_page(owner, listed, chosen, now), media_type=MediaType.HTML, headers=HEADERS)
