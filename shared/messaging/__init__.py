"""Events between services: the relay publishes a store to JetStream, consumers take other services' events from it."""

from typing import TYPE_CHECKING

from shared.lazy_imports import lazily

if TYPE_CHECKING:
    from shared.handling.retry import RetrySettings
    from shared.messaging.cloudevents import ReceivedEvent
    from shared.messaging.connection import connect, connected
    from shared.messaging.consumer import Consumer
    from shared.messaging.consumers import ConsumerLag, ConsumerRunner
    from shared.messaging.relay import Lag, Relay
    from shared.messaging.streams import StreamLimits, ensure_stream, stream_name
    from shared.messaging.subscription import SubscriptionSettings

__all__ = [
    "Consumer",
    "ConsumerLag",
    "ConsumerRunner",
    "Lag",
    "ReceivedEvent",
    "Relay",
    "RetrySettings",
    "StreamLimits",
    "SubscriptionSettings",
    "connect",
    "connected",
    "ensure_stream",
    "stream_name",
]

__getattr__ = lazily(
    __name__,
    {
        "shared.messaging.cloudevents": ("ReceivedEvent",),
        "shared.messaging.connection": ("connect", "connected"),
        "shared.messaging.consumer": ("Consumer",),
        "shared.messaging.consumers": ("ConsumerLag", "ConsumerRunner"),
        "shared.handling.retry": ("RetrySettings",),
        "shared.messaging.relay": ("Lag", "Relay"),
        "shared.messaging.streams": ("StreamLimits", "ensure_stream", "stream_name"),
        "shared.messaging.subscription": ("SubscriptionSettings",),
    },
)
