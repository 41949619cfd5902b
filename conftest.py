"""What every test of the workspace can ask for: servers, proxies and processes of the rig; and how many run at once."""

import os
import signal

pytest_plugins = ["rig.fixtures", "rig.add_ons", "rig.snippets"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs behind it deaf to Ctrl-C, and each process of a test would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers() -> int:
    """Three test processes for two processors: they wait for servers and processes of theirs two fifths of the time."""
    return max(2, (os.cpu_count() or 2) * 3 // 2)
