"""`python -m jobrunner`: the command line, without its script on the PATH."""

from jobrunner.cli import main

main()
