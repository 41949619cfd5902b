"""What stands in `deploy/`, held to the command line and the settings."""
