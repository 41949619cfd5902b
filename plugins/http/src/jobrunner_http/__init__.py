"""HTTP API, dashboard and metrics of jobrunner: the command jobrunner serve."""
