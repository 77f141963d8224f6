"""Creates a collection from a template, in custody for a social account."""

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency

from services.collections.domain.collection.fields import FieldChanges, Fields
from services.collections.domain.collection.state import Custody
from services.collections.domain.collection.template import pointer_of, refuse_web_images
from services.collections.handlers.collection import CommandHandlers, TemplateFilling
from services.collections.queries.collection import Queries
from services.collections.routes import examples
from services.collections.routes.answers import collection_answer
from services.collections.routes.bodies import TemplateBody
from services.collections.routes.documentation import documented
from services.collections.views.collection import CollectionView
from shared.contracts.problem import Detail, invalid
from shared.http import CommandContext, Envelope, JSONBody, User
from shared.http.problems import detail_of

FIELDS = frozenset(Fields.__struct_fields__)


@post(
    "/collections/custodial/from-template",
    summary="Create a collection from a template",
    operation_class=documented(request=examples.TEMPLATE, response=examples.data(examples.FROM_TEMPLATE)),
)
async def create_from_template(
    principal: User,
    context: CommandContext,
    handlers: NamedDependency[CommandHandlers],
    queries: NamedDependency[Queries],
    data: JSONBody[TemplateBody],
) -> Response[Envelope[CollectionView]]:
    """A draft of yours in custody for a social account, from a remixable collection with some of its values replaced.

    It has the template's title, description and instructions. `overrides` replaces publishing fields by their names,
    and values of the instructions by their paths, such as `data.steps[0].nodePayload.prompt`. In these values,
    `{"$fetch": "https://…"}` is an image from the web: it is stored as a file of yours, as by `POST /assets/fetch`, and
    its `url` is the value. At most 16 images, at once and within 12 s; if one can't be had, no collection is created.
    """
    refuse_web_images(data.overrides)
    filling = TemplateFilling(
        changes=_field_changes(data.overrides),
        overrides={path: value for path, value in data.overrides.items() if path not in FIELDS},
        custody=Custody(data.social_org, data.social_identifier),
        preview=data.collection_preview,
    )
    handled = await handlers.create_from_template(principal.user_id, data.template_collection_id, filling, context)
    return await collection_answer(handled, queries, status=201)


def _field_changes(overrides: Mapping[str, Any]) -> FieldChanges:
    """The overrides of publishing fields. Raises VALIDATION_FAILED for values of the wrong type."""
    changes, faults = FieldChanges(), []
    for name in sorted(FIELDS & overrides.keys()):
        try:
            sent = msgspec.convert({name: overrides[name]}, FieldChanges)
        except msgspec.ValidationError as error:
            faults.append(Detail(pointer_of(name), detail_of(error).message))
        else:
            changes = msgspec.structs.replace(changes, **{name: getattr(sent, name)})
    if faults:
        raise invalid(f"The overrides are not valid at {faults[0].pointer}: {faults[0].message}", *faults)
    return changes
