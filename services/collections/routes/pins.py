"""Pins: remote pinning services that keep a published package."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import post
from litestar.di import NamedDependency

from services.collections.handlers.pin import PinHandlers
from services.collections.routes import package_examples
from services.collections.routes.documentation import documented
from services.collections.routes.examples import data as data_of
from services.collections.views.package import PinView, pin_view
from shared.contracts.collections import PinStatus
from shared.http import CommandContext, Envelope, FromPath, JSONBody, User
from shared.http.positions import following

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class PinBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`cid`: the root of a published package. `service`: the address of the pinning service's API.

    `request_id`, `status` and `reason` are what the service answered.
    """

    cid: Text
    service: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    request_id: Text
    status: PinStatus
    reason: Annotated[str, msgspec.Meta(max_length=500)] | None = None


@post(
    "/collections/{collection_id:uuid}/pins",
    summary="Record a pin",
    opt=following("storage"),
    status_code=200,
    operation_class=documented(request=package_examples.PIN_REPORT, response=data_of(package_examples.PIN)),
)
async def report_pin(
    collection_id: FromPath[UUID],
    data: JSONBody[PinBody],
    principal: User,
    context: CommandContext,
    pin_handlers: NamedDependency[PinHandlers],
) -> Envelope[PinView]:
    """What a remote pinning service has made of a published package; the collection's public page lists it.

    For the collection's owner, and for operators. `emprops pin` calls it. The last report of each service counts.
    """
    owner = None if "operator" in principal.roles else principal.user_id
    pin = await pin_handlers.report(
        owner, collection_id, data.cid, data.service, data.request_id, data.status, data.reason, context
    )
    return Envelope(pin_view(pin))
