"""The model files that workflows need: for all users to read, and for operators to describe."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from litestar import get, post, put
from litestar.di import NamedDependency
from msgspec import Meta

from services.generation.domain.model import Describe
from services.generation.handlers.commands import CommandHandlers
from services.generation.queries.workflow import WorkflowQueries
from services.generation.views.workflow import ModelView
from shared.http import CommandContext, Envelope, JSONBody, Page


class DescribedModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`kind`: the model's folder, such as checkpoints, vae or loras; `name`: its file. What is not known is null.

    `sha256`: 64 hex digits; `size`: bytes.
    """

    kind: str
    name: str
    source_url: str | None = None
    sha256: str | None = None
    size: int | None = None


class ModelNames(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names of files, such as `ae.safetensors`, or with their kind: `vae/ae.safetensors`."""

    names: Annotated[list[str], Meta(max_length=1_000)]


@get("/models", summary="The models that workflows need")
async def list_models(workflow_queries: NamedDependency[WorkflowQueries]) -> Page[ModelView]:
    """Those that an operator has described and those that a workflow names, by kind and name."""
    return Page(await workflow_queries.models())


@post("/models/batch", status_code=200, summary="Models by their names")
async def read_models(
    data: JSONBody[ModelNames], workflow_queries: NamedDependency[WorkflowQueries]
) -> Page[ModelView]:
    """Those of the names that are known; a name without its kind may be that of several models."""
    return Page(select_named(await workflow_queries.models(), data.names))


def select_named(models: Sequence[ModelView], names: Sequence[str]) -> list[ModelView]:
    """Those of the models that a name stands for, in the models' order."""
    distinct_names = set(names)
    return [model for model in models if distinct_names & {model.name, f"{model.kind}/{model.name}"}]


@post("/models", status_code=201, summary="Describe a model", opt={"roles": {"operator"}})
async def describe_model(
    data: JSONBody[DescribedModel],
    context: CommandContext,
    handlers: NamedDependency[CommandHandlers],
) -> Envelope[ModelView]:
    """For operators. What is written replaces what was known of the model."""
    return await _describe(data, context, handlers)


@put("/models", summary="Change what is known of a model", opt={"roles": {"operator"}})
async def change_model(
    data: JSONBody[DescribedModel],
    context: CommandContext,
    handlers: NamedDependency[CommandHandlers],
) -> Envelope[ModelView]:
    """For operators. The same as POST, for clients that tell the two apart."""
    return await _describe(data, context, handlers)


async def _describe(data: DescribedModel, context: CommandContext, handlers: CommandHandlers) -> Envelope[ModelView]:
    await handlers.describe_model(Describe(**msgspec.structs.asdict(data)), context)
    return Envelope(ModelView(**msgspec.structs.asdict(data), workflows=[]))
