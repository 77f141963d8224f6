"""Which version of a collection a request is based on."""

import pytest

from services.generation.queries.collection_source import RequiredVersion
from services.generation.routes.job_requests import required_version
from shared.contracts.problem import Problem
from shared.http import Precondition

IN_BODY, IN_HEADER = "/collection_version", "header:If-Match"


@pytest.mark.parametrize(
    ("stated", "if_match", "required"),
    [
        (None, None, None),
        (7, None, RequiredVersion(7, IN_BODY)),
        (None, {7}, RequiredVersion(7, IN_HEADER)),
        (None, {5, 7}, RequiredVersion(7, IN_HEADER)),
        (7, {5, 7}, RequiredVersion(7, IN_BODY)),
    ],
)
def test_it_is_in_the_body_or_the_header(stated, if_match, required):
    assert required_version(stated, Precondition(if_match and frozenset(if_match))) == required


def test_body_and_header_must_agree():
    with pytest.raises(Problem) as refused:
        required_version(6, Precondition(frozenset({7})))
    assert (refused.value.code, [detail.pointer for detail in refused.value.details]) == (
        "VALIDATION_FAILED",
        [IN_BODY],
    )
