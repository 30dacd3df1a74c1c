"""What the live catalogue says of items: message to item and back, checked as requests are."""

import math
from dataclasses import dataclass, fields, replace

from plural.v1 import catalogue_pb2

from interests.errors import InvalidRequest
from interests.events import TIME_MS_MAX, check_id

ITEMS_MAX = 500
CATEGORIES_MAX = 16
TEXT_BYTES_MAX = {"title": 1024, "description": 4096, "brand": 256}
PRICE_MAX = 1e12


@dataclass(frozen=True, slots=True)
class Item:
    """All that was said of one item; None where nothing was."""

    item_id: str
    available: bool | None = None
    price: float | None = None
    categories: tuple[str, ...] | None = None
    title: str | None = None
    description: str | None = None
    first_seen_ms: int | None = None
    brand: str | None = None

    def then(self, later: "Item") -> "Item":
        """This, and what was said later over it."""
        said = {field.name: getattr(later, field.name) for field in fields(later)}
        return replace(self, **{name: value for name, value in said.items() if value is not None})


def upserts(message: catalogue_pb2.UpsertItemsRequest) -> list[Item]:
    """Check an UpsertItemsRequest: all of it is good or none is taken. Raises InvalidRequest."""
    count = len(message.items)
    if not 1 <= count <= ITEMS_MAX:
        raise InvalidRequest("items", f"holds {count} entries; give 1 to {ITEMS_MAX}")
    found = [from_message(each, f"items[{index}].") for index, each in enumerate(message.items)]
    seen: set[str] = set()
    for index, each in enumerate(found):
        if each.item_id in seen:
            raise InvalidRequest(f"items[{index}].item_id", "is there twice; give each item once")
        seen.add(each.item_id)
    return found


def from_message(message: catalogue_pb2.CatalogueItem, path: str = "") -> Item:
    """Check one message and take it over. Raises InvalidRequest with the field behind `path`."""
    check_id(f"{path}item_id", message.item_id)
    price = message.price if message.HasField("price") else None
    if price is not None and not (math.isfinite(price) and 0.0 <= price <= PRICE_MAX):
        raise InvalidRequest(f"{path}price", f"is {price}; give 0 to {PRICE_MAX:.0f} or leave it out")
    categories = None
    if message.HasField("categories"):
        categories = tuple(message.categories.names)
        if len(categories) > CATEGORIES_MAX:
            raise InvalidRequest(f"{path}categories", f"holds {len(categories)} names; give at most {CATEGORIES_MAX}")
        for index, name in enumerate(categories):
            check_id(f"{path}categories.names[{index}]", name)
    for field, limit in TEXT_BYTES_MAX.items():
        size = len(getattr(message, field).encode())
        if size > limit:
            raise InvalidRequest(f"{path}{field}", f"is {size} bytes long; give at most {limit}")
    return Item(
        item_id=message.item_id,
        available=message.available if message.HasField("available") else None,
        price=price,
        categories=categories,
        title=message.title if message.HasField("title") else None,
        description=message.description if message.HasField("description") else None,
        first_seen_ms=_time_ms(message, path),
        brand=message.brand if message.HasField("brand") else None,
    )


def to_message(item: Item) -> catalogue_pb2.CatalogueItem:
    """The wire form; `from_message` takes it back unchanged."""
    message = catalogue_pb2.CatalogueItem(
        item_id=item.item_id,
        available=item.available,
        price=item.price,
        title=item.title,
        description=item.description,
        brand=item.brand,
    )
    if item.categories is not None:
        message.categories.names.extend(item.categories)
        message.categories.SetInParent()
    if item.first_seen_ms is not None:
        message.first_seen.FromMilliseconds(item.first_seen_ms)
    return message


def _time_ms(message: catalogue_pb2.CatalogueItem, path: str) -> int | None:
    if not message.HasField("first_seen"):
        return None
    time_ms = message.first_seen.seconds * 1000 + message.first_seen.nanos // 1_000_000
    if not 0 <= time_ms <= TIME_MS_MAX:
        raise InvalidRequest(f"{path}first_seen", "give a time from 1970 to 2100 or leave it out")
    return time_ms
