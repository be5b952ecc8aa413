"""The tables of config.toml about operation: who is told of what goes wrong, how long things are kept, how logs are."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from digest.config.values import AddressText, Duration, HttpUrl, Table, read_server


def _read_limit(raw: Any) -> Any:
    return None if raw == "forever" else raw


Limit = Annotated[Duration | None, BeforeValidator(_read_limit)]


class Alerts(Table):
    """[alerts]"""

    to: tuple[AddressText, ...] = ()
    webhook: HttpUrl | None = Field(default=None, repr=False)  # its address may be its key
    heartbeat: HttpUrl | None = Field(default=None, repr=False)  # called after each good edition


class Retention(Table):
    """[retention]: how long is kept what is not needed for ever; "forever" is for ever."""

    pages: Limit = Field(default=timedelta(days=30), ge=timedelta(days=2))  # texts of entries
    events: Limit = Field(default=timedelta(days=90), ge=timedelta(days=7))  # providers' own words
    consent_networks: Limit = Field(default=timedelta(days=730), ge=timedelta(days=1))  # from where readers agreed
    deliveries: Limit = Field(default=timedelta(days=400), ge=timedelta(days=62))  # by whole months of editions


class Logs(Table):
    """[log]: what `digest serve` and `digest worker` say."""

    format: Literal["console", "json"] = "console"


class Checks(Table):
    """[check]: of `digest check`."""

    nameservers: tuple[str, ...] = ()  # that are asked of the sender's domain; else those of this machine

    @field_validator("nameservers")
    @classmethod
    def _check_addresses(cls, servers: tuple[str, ...]) -> tuple[str, ...]:
        for text in servers:
            read_server(text)
        return servers

    @property
    def servers(self) -> list[tuple[str, int]]:
        """The addresses of `nameservers`, and their ports."""
        return [read_server(text) for text in self.nameservers]
