"""The settings of the credits service, from its environment."""

from typing import Annotated

import msgspec

from shared.runtime import ServiceSettings


class CreditsSettings(ServiceSettings, frozen=True, kw_only=True):
    """Times are seconds."""

    hold_seconds: Annotated[float, msgspec.Meta(gt=0)] = 172_800.0
    """How long a hold may be open until generation is asked whether its job is. It stays until generation answers."""
    hold_ask_again_seconds: Annotated[float, msgspec.Meta(gt=0)] = 3600.0
    """After this long without an answer, generation is asked again."""
