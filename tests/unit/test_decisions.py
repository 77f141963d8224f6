"""The records of decisions are numbered one after the other, so that a number names one of them."""

import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "decisions"


def test_each_number_is_given_once_and_stands_in_the_title() -> None:
    numbers = []
    for record in sorted(FOLDER.glob("[0-9]*.md")):
        number = int(record.name.partition("-")[0])
        title = record.read_text().splitlines()[0]
        assert re.match(rf"# {number}\. \S", title), f"{record.name}: {title}"
        numbers.append(number)
    assert numbers == list(range(1, len(numbers) + 1))
