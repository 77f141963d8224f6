"""A user's balance and ledger."""

from operator import attrgetter
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency

from services.credits.queries import Balance, LedgerEntry, Queries
from shared.http import LAST_NUMBER, Cursor, Envelope, FromQuery, Limit, Page, User, cursor_number, next_cursor
from shared.http.amounts import ExactResponse
from shared.http.positions import following
from shared.runtime import Runtime


@get("/credits", summary="Your credits", response_class=ExactResponse, opt=following("generation"))
async def read_balance(
    principal: User, queries: NamedDependency[Queries], runtime: NamedDependency[Runtime]
) -> Envelope[Balance]:
    """Credits that are available, held for jobs, and spent."""
    return Envelope(await queries.balance(principal.user_id, runtime.clock()))


@get("/credits/entries", summary="Your ledger", response_class=ExactResponse, opt=following("generation"))
async def list_entries(
    principal: User,
    queries: NamedDependency[Queries],
    limit: Limit = 50,
    cursor: Cursor = None,
    job_id: FromQuery[UUID | None] = None,
) -> Page[LedgerEntry]:
    """Every movement of your credits, newest first; with `job_id`, those of one job."""
    before = cursor_number(cursor, LAST_NUMBER)
    entries = await queries.entries(principal.user_id, before=before, limit=limit + 1, job_id=job_id)
    return Page(entries[:limit], next_cursor(entries, limit, attrgetter("position")))
