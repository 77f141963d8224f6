"""Has the images of published tokens scaled, one image after the other.

What is left to do is in a table, of which each replica takes tokens of its own: so they share the work, and it goes on
where it was after a restart. A publication wakes all of them.
"""

from services.storage.scaling.image_scaler import ImageScaler
from services.storage.tables.unscaled_tokens import (
    CHANGED,
    LONGEST_SECONDS,
    OUTAGE_SECONDS,
    UnscaledToken,
    UnscaledTokens,
)
from shared.eventstore import EventStore
from shared.handling.transient import is_transient
from shared.telemetry import get_logger

CHECK_SECONDS = 60.0
"""Longest wait for a notification of a publication, which may be lost."""
SHORTEST = 0.05

log = get_logger("storage")


class Scaler:
    def __init__(self, store: EventStore, images: ImageScaler, tokens: UnscaledTokens) -> None:
        self._store, self._images, self._tokens = store, images, tokens

    async def run(self) -> None:
        """Runs until cancelled."""
        marks = self._store.watermarks
        while True:
            publications = marks.value(CHANGED)
            try:
                await self.scale_all()
                seconds = await self._tokens.seconds_until_next()
                pause = CHECK_SECONDS if seconds is None else min(max(seconds, SHORTEST), CHECK_SECONDS)
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("images wait to be scaled", error=str(error))
                pause = OUTAGE_SECONDS
            await marks.wait_beyond(CHANGED, publications, pause)

    async def scale_all(self) -> None:
        """Scales all images that may be taken. One that fails blocks none after it: it is tried again later."""
        while tokens := await self._tokens.take():
            await self._scale(tokens)

    async def _scale(self, tokens: list[UnscaledToken]) -> None:
        """Raises what is transient, after it has put back the tokens that are not done."""
        left = list(tokens)
        try:
            for token in tokens:
                if await self._is_done(token):
                    left.remove(token)
        except Exception:
            await self._put_back(tokens, left, OUTAGE_SECONDS)
            raise
        await self._put_back(tokens, left, LONGEST_SECONDS)

    async def _put_back(self, tokens: list[UnscaledToken], left: list[UnscaledToken], longest: float) -> None:
        await self._tokens.remove([token for token in tokens if token not in left])
        await self._tokens.postpone(left, longest)

    async def _is_done(self, token: UnscaledToken) -> bool:
        """Whether its image is scaled, or will never be: there is none, or not one of its own."""
        if token.is_unknown:
            return False
        if token.path is None or not token.is_own:
            return True
        try:
            return await self._images.scale(token.path)
        except Exception as error:
            if is_transient(error):
                raise
            log.exception("an image was not scaled", asset_id=token.asset_id)
            return False
