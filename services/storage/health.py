"""Readiness check of the file store: writes a small object and deletes it."""

import time

from services.storage.providers.s3 import S3Store
from shared.contracts.problem import Problem
from shared.http import NotReady

SUCCESS_SECONDS = 5.0
"""Seconds for which a success is cached: readiness may be probed many times a second."""


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
        self._good_until = time.monotonic() + SUCCESS_SECONDS
        return None
