"""Asking several things at once, and waiting for none longer than it may take."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

T = TypeVar("T")


def ask(questions: Mapping[str, Callable[[], T]], seconds: float) -> dict[str, T]:
    """The answers that came in time, by name; a question that raises has none either.

    Threads of their own and no pool: Python waits at its end for a pool's threads, and one may hang in a system call.
    """
    answers: dict[str, T] = {}

    def answer(name: str, question: Callable[[], T]) -> None:
        answers[name] = question()

    threads = [
        threading.Thread(target=answer, args=(name, question), name=name, daemon=True)
        for name, question in questions.items()
    ]
    end = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return dict(answers)
