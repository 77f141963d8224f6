"""Waiting ends with what was waited for, or with an error that names it."""

import asyncio

import pytest

from tests.support.patience import NotYet, eventually, wait_for


async def test_the_first_true_value_is_the_result() -> None:
    values = iter([0, None, "", "here", "later"])

    async def look() -> object:
        return next(values)

    assert await eventually(look, "a value", every=0) == "here"
    assert next(values) == "later"


async def test_what_never_comes_is_named_with_the_last_look() -> None:
    async def look() -> int:
        return 0

    with pytest.raises(AssertionError, match=r"^the job to end: not within 0\.05 s; the last attempt gave 0$"):
        await eventually(look, "the job to end", within=0.05)


async def test_a_look_that_hangs_ends_at_the_bound() -> None:
    async def look() -> bool:
        return await asyncio.Event().wait()

    with pytest.raises(AssertionError, match="an answer: not within"):
        await eventually(look, "an answer", within=0.05)


async def test_a_failure_shows_where_other_tasks_wait() -> None:
    async def stalled() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(stalled(), name="the stalled one")
    with pytest.raises(AssertionError, match=r"\nthe stalled one: .*stalled, test_patience\.py:\d+ > Event\.wait"):
        await eventually(lambda: False, "a change", within=0.05)
    task.cancel()


async def test_only_errors_that_pass_are_waited_out() -> None:
    errors: list[Exception] = [ConnectionError("away"), KeyError("a fault")]

    async def look() -> bool:
        raise errors.pop(0)

    with pytest.raises(KeyError, match="a fault"):
        await eventually(look, "a connection", passing=(ConnectionError,), every=0)


async def test_a_timeout_of_the_look_itself_is_not_the_bound() -> None:
    async def look() -> bool:
        raise TimeoutError("the client's own")

    with pytest.raises(TimeoutError, match="the client's own"):
        await eventually(look, "an answer")


async def test_a_condition_need_not_be_async() -> None:
    values = iter([None, 7])
    assert await eventually(lambda: next(values), "a value", every=0) == 7


def test_without_a_loop_it_is_the_same() -> None:
    values = iter([None, 7])
    assert wait_for(lambda: next(values), "a value", every=0) == 7
    with pytest.raises(
        AssertionError, match=r"^a value: not within 0\.01 s; the last attempt gave NotYet\('3 of 4'\)$"
    ):
        wait_for(look_in_vain, "a value", within=0.01, every=0)


def look_in_vain() -> None:
    raise NotYet("3 of 4")
