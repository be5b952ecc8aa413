"""People who asked to be forgotten: what is kept of them goes, what was sent stays counted, without a name."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from digest.models import Subscriber, SubscriberState, month_of
from digest.stores.database import Database, chunks, count_rows, upsert
