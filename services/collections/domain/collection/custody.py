"""Transfers a collection in custody to the user whom it is meant for."""

from uuid import UUID

import msgspec

from services.collections.domain.collection.state import Collection, owned
from shared.contracts.collections import CustodyTransferred
from shared.contracts.event import Event
from shared.contracts.problem import Problem


class TransferCustody(msgspec.Struct, frozen=True):
    """`project_id`: a project of the new owner's."""

    user_id: UUID
    new_owner: UUID
    project_id: UUID


def decide(command: TransferCustody, state: Collection) -> list[Event]:
    """Raises NOT_FOUND for a collection that is not the user's, CONFLICT for one that is not in custody."""
    collection_id = owned(state, command.user_id)
    if state.custody is None:
        raise Problem("CONFLICT", "The collection is not in custody, so it can't be transferred")
    return [CustodyTransferred(collection_id, command.new_owner, command.project_id)]
