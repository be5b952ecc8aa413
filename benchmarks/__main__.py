"""python -m benchmarks [NAME …] [--json]: measurements, each beside a peer of the same run, as a ratio.

Figures of one run on one machine; only the ratios travel. Prints a table, or one object a line:
{name, value, unit, peer, peer_value, ratio, note}.
"""

import argparse
import json
import sys
from dataclasses import asdict

from benchmarks.ledger import BY_HAND as LEDGER
from benchmarks.measures import MEASURES
from benchmarks.sizes import BY_HAND as SIZES
from benchmarks.status import BY_HAND as STATUS

_BY_HAND = SIZES | LEDGER | STATUS  # these take long, and only when they are named
KNOWN = MEASURES | _BY_HAND


def main() -> None:
    """Run the named measurements, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measurements beside their peers.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(KNOWN)}; else all but the last {len(_BY_HAND)}"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in KNOWN]
    if unknown:
        parser.error(f"there is no measurement {unknown[0]}; known: {', '.join(KNOWN)}")
    for name in arguments.names or MEASURES:
        for figure in KNOWN[name]():
            if arguments.json:
                print(json.dumps(asdict(figure)), flush=True)
                continue
            peer = f"{figure.peer} {figure.peer_value:,.3g}, ratio {figure.ratio:.3g}" if figure.peer else "–"
            print(f"{figure.name:<26} {figure.value:>12,.3g} {figure.unit:<18} {peer:<48} {figure.note}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
