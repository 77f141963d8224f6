"""The positions that a client of the tests has been answered, which it brings with its reads, as the edge does."""

from collections.abc import Mapping

HEADER = "Emprops-Position"


class SeenPositions:
    """Of one client: a read that brings them is never answered with less than what its writes were answered with."""

    def __init__(self) -> None:
        self._newest: dict[str, tuple[int, int]] = {}

    def note(self, headers: Mapping[str, str]) -> None:
        """Takes in the position of an answer, where it has one."""
        for token in filter(None, headers.get(HEADER, "").split(",")):
            service, epoch, number = token.strip().split(":")
            position = int(epoch), int(number)
            self._newest[service] = max(position, self._newest.get(service, position))

    def headers_for(self, method: str, headers: Mapping[str, str]) -> dict[str, str]:
        """The header of a read; a request that names its positions itself, and a write, get none."""
        if method not in {"GET", "HEAD"} or HEADER in headers or not self._newest:
            return {}
        tokens = (f"{service}:{epoch}:{number}" for service, (epoch, number) in self._newest.items())
        return {HEADER: ",".join(tokens)}
