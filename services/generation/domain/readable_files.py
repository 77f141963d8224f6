"""Which stored files a step's worker may read beside those of its job: the ones that its payload names.

Whose file each of them must be follows from who has written its address: an owner of the collection, in its data, or
the user who has requested the job. So writing an address gives no access to another user's file.
"""

from collections.abc import Iterable
from itertools import islice
from uuid import UUID

from services.generation.domain.collection_source import CollectionSource
from services.generation.domain.file_addresses import files_in

MAX_FILES = 100
"""Files of one payload; a grant that lists them is in a header."""


def owners_of_files(files: Iterable[int], source: CollectionSource, user_id: UUID) -> dict[int, UUID]:
    """Whose file each of the first MAX_FILES must be, in a job that the user has requested of the collection."""
    of_collection: dict[int, UUID] = {}
    if source.user_id is not None and source.user_id != user_id:
        of_collection = dict.fromkeys(files_in(source.data), source.user_id)
    of_collection |= source.inherited_files
    return {file: of_collection.get(file, user_id) for file in islice(files, MAX_FILES)}
