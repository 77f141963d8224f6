"""The document's operation for creating and generating in one call, made from those of its two commands."""

from typing import Any

from services.edge.document.combined_operation import PATH, combined_operation

REFUSED = {"description": "Refused"}


def operation(schema: dict[str, Any], *statuses: str, **media: Any) -> dict[str, Any]:
    return {
        "requestBody": {"content": {"application/json": {"schema": schema, **media}}},
        "responses": dict.fromkeys(statuses, REFUSED),
        "security": [{"bearer": []}],
    }


def document() -> dict[str, Any]:
    creation = {"oneOf": [{"$ref": "#/components/schemas/Fields"}, {"type": "null"}]}
    job = {"$ref": "#/components/schemas/Request"}
    return {
        "paths": {
            "/projects/collections": {"post": operation(creation, "201", "400", example={"title": "Foxes"})},
            "/collections/{collection_id}/generations": {"post": operation(job, "200", "202", "402")},
        },
        "components": {
            "schemas": {
                "Fields": {"properties": {"title": {"type": "string"}}},
                "Request": {"properties": {"hashes": {"type": "array"}, "dry_run": {"type": "boolean"}}},
            }
        },
    }


def test_it_takes_the_members_of_both_and_answers_as_both() -> None:
    """What is of no use for a new collection, such as a dry run, is left out."""
    post_operation = combined_operation(document())[PATH]["post"]
    media = post_operation["requestBody"]["content"]["application/json"]
    assert set(media["schema"]["properties"]) == {"title", "hashes"}
    assert media["example"] == {"title": "Foxes", "variables": {}, "generations": 1}
    assert list(post_operation["responses"]) == ["202", "400", "402"]
    assert post_operation["security"] == [{"bearer": []}]


def test_while_a_service_is_away_it_is_left_out() -> None:
    for path in document()["paths"]:
        partial = document()
        del partial["paths"][path]
        assert combined_operation(partial) == {}
