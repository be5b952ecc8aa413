"""Who may use the API, and for what."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Scope(StrEnum):
    """What a token is good for."""

    SUBSCRIBERS_READ = "subscribers:read"
    SUBSCRIBERS_WRITE = "subscribers:write"
    EDITIONS_READ = "editions:read"
    STATUS_READ = "status:read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is kept of a token for the API of one newsletter; the secret itself is kept nowhere."""

    id: str  # names it in listings; no secret
    name: str  # the operator's, for the program that has it
    scopes: tuple[Scope, ...]
    created_at: datetime
    last_used_at: datetime | None = None  # to the minute
    revoked_at: datetime | None = None
