"""The collector's thresholds are the process's: who raises them gives them back."""

import gc

import pytest

from shared.garbage_collection import SELDOM, collect_seldom


def test_blocks_overlap() -> None:
    """Two rebuilds in one process: the first to end does not take the other's thresholds away."""
    before = gc.get_threshold()
    one, other = collect_seldom(), collect_seldom()
    one.__enter__()
    other.__enter__()
    assert gc.get_threshold() == SELDOM
    one.__exit__(None, None, None)
    assert gc.get_threshold() == SELDOM
    other.__exit__(None, None, None)
    assert gc.get_threshold() == before


def test_a_block_that_raises() -> None:
    before = gc.get_threshold()
    with pytest.raises(ValueError, match="broken"), collect_seldom():
        raise ValueError("broken")
    assert gc.get_threshold() == before
