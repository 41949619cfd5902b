"""`python -m jobrunner` and the script `jobrunner`: imports the command line, and does nothing else."""

import sys

INTERRUPTED = 130
"""What shells take for a command that Ctrl-C ended; `cli.errors` has it too, and is not imported yet."""


def main() -> None:
    """Run the command line. Ctrl-C while its modules are imported ends it as it does later: quietly, with status 130."""
    try:
        from jobrunner.cli import main as run  # noqa: PLC0415 - what is imported above cannot be interrupted quietly

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
