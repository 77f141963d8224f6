"""Commands on projects."""

import pytest

from services.collections.domain import project as projects
from services.collections.domain.project import (
    ChooseCurrentCollection,
    CreateProject,
    RenameProject,
    create_default,
    create_untitled,
    default_project_id,
)
from shared.contracts.collections import CurrentCollectionChosen, ProjectCreated, ProjectRenamed
from tests.unit.collections.specification import ALICE, BOB, COLLECTION, PROJECT, given, project


def test_a_project_is_created_under_a_trimmed_name():
    given(projects).when(CreateProject(PROJECT, ALICE, " Birds ")).then(ProjectCreated(PROJECT, ALICE, "Birds", False))


def test_the_default_project_has_one_id_per_user():
    """Two concurrent creations write the same stream, so one of them creates it."""
    assert default_project_id(ALICE) == create_default(ALICE).project_id == create_default(ALICE).project_id
    assert default_project_id(ALICE) != default_project_id(BOB)


def test_the_default_project_is_created_once():
    given(projects, project(default=True)).when(create_default(ALICE)).then_nothing_happens()


def test_untitled_projects_are_numbered():
    assert [create_untitled(ALICE, number).name for number in (1, 2, 3)] == ["Untitled", "Untitled 2", "Untitled 3"]
    assert create_untitled(ALICE, 2).project_id != create_untitled(BOB, 2).project_id


@pytest.mark.parametrize("name", ["", "   ", "a\0b", "x" * 201])
def test_an_invalid_name_is_refused(name):
    given(projects).when(CreateProject(PROJECT, ALICE, name)).then_refused("VALIDATION_FAILED", "/name")


def test_renaming_is_idempotent():
    given(projects, project()).when(RenameProject(ALICE, "Fish")).then(ProjectRenamed(PROJECT, "Fish"))
    given(projects, project(name="Fish")).when(RenameProject(ALICE, "Fish")).then_nothing_happens()


def test_renaming_another_users_project_is_refused():
    given(projects, project(user=BOB)).when(RenameProject(ALICE, "Fish")).then_refused("NOT_FOUND")
    given(projects).when(RenameProject(ALICE, "Fish")).then_refused("NOT_FOUND")


def test_the_choice_of_a_current_collection_has_the_previous_one():
    chosen = CurrentCollectionChosen(PROJECT, COLLECTION, None)
    given(projects, project()).when(ChooseCurrentCollection(ALICE, COLLECTION)).then(chosen)
    given(projects, project(), chosen).when(ChooseCurrentCollection(ALICE, PROJECT)).then(
        CurrentCollectionChosen(PROJECT, PROJECT, COLLECTION)
    )
    given(projects, project(), chosen).when(ChooseCurrentCollection(ALICE, COLLECTION)).then_nothing_happens()
