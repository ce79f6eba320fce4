"""A stats process that wants everything, for sessions without sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dovecot_urlauth.service.stats import Silent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dovecot_urlauth.dialect.dialect import StatsNames


class Told(Silent):
    """Keeps each event's name with its categories and fields."""

    def __init__(self, names: StatsNames) -> None:
        super().__init__()
        self.names = names
        self.events: list[tuple[str, tuple[str, ...], dict[str, str | int]]] = []

    def wants(self, name: str) -> bool:
        return True

    def report(
        self,
        name: str,
        categories: tuple[str, ...],
        fields: Mapping[str, str | int],
        created: float | None = None,
    ) -> None:
        self.events.append((name, categories, dict(fields)))

    def fields(self, name: str) -> list[dict[str, str | int]]:
        """Of every event of that name."""
        return [fields for told, _, fields in self.events if told == name]
