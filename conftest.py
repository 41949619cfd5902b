"""What every test of the workspace can ask for: servers, proxies and processes of the rig."""

pytest_plugins = ["rig.fixtures"]
