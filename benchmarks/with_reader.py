"""python -m benchmarks.with_reader PORT COUNT HOST …: the feeds of a benchmark server, updated by reader.

Prints {wall, cpu, entries}. A process of its own, so that its threads do not share an interpreter with the server.
"""

import json
import sys
import time

from reader import make_reader

_WORKERS = 32


def main() -> None:
    """Add the feeds, then time one update of all."""
    port, count, *hosts = sys.argv[1:]
    reader = make_reader(":memory:")
    for number in range(int(count)):
        reader.add_feed(f"http://{hosts[number % len(hosts)]}:{port}/{number}")
    start, started = time.perf_counter(), time.process_time()
    reader.update_feeds(workers=_WORKERS)
    wall, cpu = time.perf_counter() - start, time.process_time() - started
    print(json.dumps({"wall": wall, "cpu": cpu, "entries": reader.get_entry_counts().total}))


if __name__ == "__main__":
    main()
