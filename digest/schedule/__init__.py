"""When things happen: what is due is decided from the clock and the store, and a ticker looks."""

from digest.schedule.deciding import decide
from digest.schedule.ensuring import ensure_due
from digest.schedule.ticker import Ticker

__all__ = ["Ticker", "decide", "ensure_due"]
