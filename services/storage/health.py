"""Whether files can be stored: seen by storing one."""

import time

from services.storage.providers.s3 import S3Store
from shared.contracts.problem import Problem
from shared.http import NotReady

GOOD_FOR = 5.0
"""Seconds for which a success is told again: readiness may be asked for many times a second."""


class FileStoreCheck:
    def __init__(self, store: S3Store, instance: str) -> None:
        self._store, self._path = store, f".health/{instance or 'storage'}"
        self._good_until = 0.0

    async def __call__(self) -> str | None:
        if time.monotonic() < self._good_until:
            return None
        try:
            await self._store.try_to_write(self._path)
        except Problem as problem:
            raise NotReady(problem.detail) from problem
        self._good_until = time.monotonic() + GOOD_FOR
        return None
