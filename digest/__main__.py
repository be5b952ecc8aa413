"""`python -m digest` and the console script."""

import sys

_INTERRUPTED = 130  # as shells say it: 128 and the number of SIGINT


def main() -> None:
    """The command line; Ctrl-C while that is still being loaded ends it without a traceback."""
    try:
        from digest.cli import main as run_command
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    run_command()


if __name__ == "__main__":
    main()
