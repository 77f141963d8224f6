"""One sentence in plain English for each event of a collection."""

from collections.abc import Callable
from typing import Any

from shared.contracts import collections as events
from shared.contracts.event import Event


def sentence_of(event: Event) -> str:
    """A sentence without its subject, which is the entry's `actor`. Raises KeyError for events of other aggregates."""
    return _SENTENCES[type(event)](event)


def _created(event: events.CollectionCreated) -> str:
    fork = " as a fork of another collection" if event.forked_from else ""
    return f"created “{event.title}”{fork}, with {_steps(event.data)}"


def _preview(event: events.PreviewConfigured) -> str:
    if not event.enabled:
        return "closed the preview"
    remixable = "and to remix" if event.is_remixable else "but not to remix"
    cost = " at the owner's cost" if event.paid_by == "owner" else ""
    return f"opened the preview: {event.max_generations} artworks for each visitor to try{cost}, {remixable}"


def _receivers(event: events.ReceiversSet) -> str:
    if not event.receivers:
        return "removed all receivers"
    sales = ", ".join(_share(receiver) for receiver in event.receivers if receiver.purpose != "royalty")
    royalties = ", ".join(_share(receiver) for receiver in event.receivers if receiver.purpose == "royalty")
    parts = [f"shared the sales: {sales}" if sales else "", f"set the royalties: {royalties}" if royalties else ""]
    split = f"all royalties go to {event.royalty_receiver}" if event.royalty_receiver else ""
    return "; ".join(filter(None, [*parts, split]))


def _share(receiver: events.SalesReceiver) -> str:
    name = f"{receiver.name}, " if receiver.name else ""
    return f"{receiver.value} % to {name}{receiver.address} ({receiver.type})"


def _tags(event: events.CollectionTagged) -> str:
    return f"tagged it with {len(event.tags)} tags" if event.tags else "removed all tags"


def _rights(event: events.RightsStated) -> str:
    license_name = f"the license {event.license}" if event.license else "no license"
    return f"stated the rights: {license_name}{', with words of its creator' if event.rights else ''}"


def _cover(event: events.CoverTokenChosen) -> str:
    return (
        "chose no token as the cover" if event.cover_token is None else f"chose token {event.cover_token} as the cover"
    )


def _batches(event: events.BatchMintingConfigured) -> str:
    if not event.batch_mint_enabled:
        return "turned batch minting off"
    limit = f" of {event.batch_max_tokens} tokens at most" if event.batch_max_tokens else ""
    return f"allowed minting in batches{limit}"


def _scheduled(event: events.PublicationScheduled) -> str:
    series = f" of {_artworks(event.series)}" if event.series else ""
    return f"scheduled the publication{series} for {event.publish_date}"


def _published(event: events.CollectionPublished) -> str:
    series = f" with {_artworks(event.series)}" if event.series else ""
    return f"published it{series} as of {event.publish_date}"


def _artworks(series: events.ChosenSeries) -> str:
    count = len(series.gids)
    return f"{'1 artwork' if count == 1 else f'{count} artworks'} of job {series.job_id}"


def _names(event: events.PublicationRevised) -> str:
    return ", ".join(name.replace("_", " ") for name in event.changes)


def _value(name: str, value: object) -> str:
    return f"removed the {name}" if value is None else f"set the {name} to {value}"


def _steps(data: dict[str, Any]) -> str:
    count = len(data["steps"])
    return "1 step" if count == 1 else f"{count} steps"


_SENTENCES: dict[type[Event], Callable[[Any], str]] = {
    events.CollectionCreated: _created,
    events.PreviewCreated: lambda _: "got a preview, closed at first",
    events.CollectionRetitled: lambda event: f"retitled it “{event.title}”",
    events.CollectionDescribed: lambda event: f"{'changed' if event.description else 'removed'} the description",
    events.InstructionsRevised: lambda event: f"revised how the artwork is made: {_steps(event.data)} now",
    events.ChainChosen: lambda event: _value("blockchain", event.blockchain),
    events.EditionsSet: lambda event: _value("editions", event.editions),
    events.CollectionPriced: lambda event: _value("price", event.price),
    events.BatchMintingConfigured: _batches,
    events.EncryptionChosen: lambda event: f"turned encryption {'on' if event.encryption_enabled else 'off'}",
    events.CoverImageChosen: lambda event: _value("cover image", event.cover_image_url),
    events.ImagesArranged: lambda event: f"arranged {len(event.images)} images",
    events.SymbolChosen: lambda event: _value("symbol", event.symbol),
    events.CollectionTagged: _tags,
    events.RightsStated: _rights,
    events.MinterNamed: lambda event: _value("minter", event.minter),
    events.BannerImageChosen: lambda event: _value("banner image", event.banner_image_url),
    events.CoverTokenChosen: _cover,
    events.ReceiversSet: _receivers,
    events.PreviewConfigured: _preview,
    events.PublicationScheduled: _scheduled,
    events.PublicationCalledOff: lambda event: f"called the publication off: {'; '.join(event.reasons)}",
    events.SeriesChosen: lambda event: f"chose {_artworks(event.series)} to be sold",
    events.CollectionPublished: _published,
    events.PublicationRevised: lambda event: f"made revision {event.revision} of what is public: {_names(event)}",
    events.CollectionArchived: lambda _: "archived it",
    events.CollectionRestored: lambda _: "restored it from the archive",
    events.CustodyTaken: lambda event: f"keeps it for {event.social_identifier} on {event.social_org}",
    events.CustodyTransferred: lambda event: f"handed it over to user {event.user_id}",
}
