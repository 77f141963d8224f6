"""What a visitor, that is, a user who does not own the collection, may do with it."""

from uuid import UUID

import msgspec

from services.generation.domain.collection_source import CollectionSource
from services.generation.domain.planning.job_plan import JobRequest
from shared.contracts.generation import PreviewTerms
from shared.contracts.generation_input import GenerationInput
from shared.contracts.problem import Detail, Problem, invalid, not_found

DEFAULT_GENERATIONS = 1
"""Of a visitor's request that states no number: the collection's own is for the whole series."""


def preview_terms(source: CollectionSource) -> PreviewTerms:
    """What visitors may do. Raises PREVIEW_DISABLED, or NOT_FOUND if only its owner could ever see the collection."""
    if source.preview is not None and source.preview.enabled and not source.is_archived:
        return source.preview
    if not source.was_public:
        raise not_found("The collection")
    raise Problem("PREVIEW_DISABLED", "The collection's owner does not let visitors generate it at present")


def payer_of(source: CollectionSource, terms: PreviewTerms) -> UUID | None:
    """Whose credits a visitor's job is held of; None: the visitor's own."""
    return source.user_id if terms.paid_by == "owner" else None


def refuse_other_payer(payer_id: UUID | None, source: CollectionSource, terms: PreviewTerms) -> None:
    """Raises PREVIEW_DISABLED for the resume of a job whose payer no longer pays for previews.

    What the visitor pays can be resumed in any case: they resume it themselves.
    """
    if payer_id is not None and payer_id != payer_of(source, terms):
        detail = "The credits that this preview was made of are no longer the visitors' to use: request a new one"
        raise Problem("PREVIEW_DISABLED", detail)


def request_of_visitor(request: JobRequest) -> JobRequest:
    """Raises VALIDATION_FAILED for a request with hashes: with those of tokens, it would make their artworks."""
    if request.hashes is not None:
        message = "can't be stated for another user's collection, whose previews draw new ones"
        raise invalid("The request can't be carried out", Detail("/hashes", message))
    generations = DEFAULT_GENERATIONS if request.generations is None else request.generations
    return msgspec.structs.replace(request, generations=generations)


def input_of_visitor(generation_input: GenerationInput) -> GenerationInput:
    """Without the collection's custom hashes, which are those of its tokens."""
    return msgspec.structs.replace(generation_input, use_custom_hashes=False)


def without_instructions(problem: Problem) -> Problem:
    """The refusal of a request without what it tells of instructions that its user may not see."""
    details = [detail for detail in problem.details if not detail.pointer.startswith("/data")]
    if len(details) < len(problem.details):
        details.append(Detail("/data", "the instructions can't be run as they are: the collection's owner is told why"))
    return Problem(problem.code, problem.detail, *details)
