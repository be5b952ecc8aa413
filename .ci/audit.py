"""Known weaknesses of the locked packages, as the Python Packaging Advisory Database has them.

Fails when there is one. Where nobody can be asked, for want of a network, it says so and does not fail: a release asks
again (docs/releasing.md).
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements-dev.txt", "deploy/requirements-build.txt")  # all others hold a part of these
SECONDS = 120


def audit() -> list[str] | None:
    """A line for each weakness; None when nobody answered."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--format", "json"]
    command += ["--progress-spinner", "off", "--timeout", "15"]
    command += [word for lock in LOCKS for word in ("--requirement", str(ROOT / lock))]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        found = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        return None
    if not any("vulns" in package for package in found):  # a mirror that has packages alone, and knows nothing of them
        return None
    return sorted(
        {
            f"{package['name']} {package['version']}: {weakness['id']}, mended in {weakness['fix_versions']}"
            for package in found
            for weakness in package.get("vulns", ())
        }
    )


def main() -> int:
    """Ask; the exit code."""
    found = audit()
    if found is None:
        print("audit: the advisory database cannot be reached from here; nothing was asked")
        return 0
    for line in found:
        print(f"audit: {line}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
