"""Which stored files a step may read beside those of its job, and whose they must be."""

from uuid import UUID

from services.generation.domain.collection_source import CollectionSource
from services.generation.domain.file_addresses import files_in
from services.generation.domain.readable_files import MAX_FILES, owners_of_files

OWNER, VISITOR, EARLIER = UUID(int=1), UUID(int=2), UUID(int=3)
DATA = {"steps": [{"nodePayload": {"image": "https://api.test/assets/5/content"}}]}


def test_files_are_known_by_their_addresses_anywhere_in_a_payload():
    payload = {
        "image": "https://api.test/assets/12/content",
        "graph": [{"a/b": "x http://h/assets/3/content y"}, "https://api.test/assets/12/content"],
        "other": ["/assets/0/content", "/assets/5", "https://api.test/assets/x/content", 7, None],
    }
    assert files_in(payload) == [12, 3]


def test_an_owner_s_job_reads_the_owner_s_files():
    source = CollectionSource(user_id=OWNER, data=DATA, inherited_files={7: EARLIER})
    assert owners_of_files([5, 6, 7], source, OWNER) == {5: OWNER, 6: OWNER, 7: EARLIER}


def test_a_visitor_s_job_reads_what_is_in_the_data_and_else_the_visitor_s_own():
    """A visitor who writes the address of another file of the owner's into a variable gets nothing."""
    source = CollectionSource(user_id=OWNER, data=DATA, inherited_files={7: EARLIER})
    assert owners_of_files([5, 6, 7], source, VISITOR) == {5: OWNER, 6: VISITOR, 7: EARLIER}


def test_there_are_only_so_many_in_a_grant():
    assert list(owners_of_files(range(1, 1_000), CollectionSource(), OWNER)) == list(range(1, MAX_FILES + 1))
