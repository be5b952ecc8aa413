"""One day of a newsletter, in a process of its own: `python week_day.py CONFIG INSTANT [approve]`.

The clock begins at that instant and goes on as the machine's does. What is due is done, what goes wrong is told, and
how it all stands is printed as JSON: what `digest status --json` prints. It may be killed at any moment.
"""

import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from digest.app import App
from digest.cli.output import to_json
from digest.config import load_config
from digest.operate.alerts import tell_incidents
from digest.operate.housekeeping import keep_house
from digest.operate.revising import approve_edition
from digest.operate.status import read_status
from digest.schedule import ensure_due

PAUSE = timedelta(minutes=2)  # after which the scheduler looks again


def main() -> None:
    """Begin the day."""
    start, began = datetime.fromisoformat(sys.argv[2]).astimezone(UTC), time.monotonic()
    late = timedelta()

    def clock() -> datetime:
        return start + late + timedelta(seconds=time.monotonic() - began)

    with App(load_config(Path(sys.argv[1]), {}), clock=clock, on_stage=lambda stage: None) as app:
        app.is_swept = True
        if "approve" in sys.argv:
            (stored,) = app.store.editions.newest(app.config.newsletter.slug, 1)
            approve_edition(app, stored, by="Kim", force=True)
        for _ in range(5):
            if ensure_due(app, app.clock()) is None:
                break
            late += PAUSE
        told = tell_incidents(app)
        keep_house(app)
        sys.stdout.write(json.dumps({"told": told, **to_json(read_status(app))}))


if __name__ == "__main__":
    main()
