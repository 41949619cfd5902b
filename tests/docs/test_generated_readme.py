"""The README that `jobrunner plugins new` writes is followed, as whoever generated a plugin does first."""

import pytest
from rig.snippets import blocks


@pytest.mark.long
@pytest.mark.xdist_group("reader")
def test_readme_of_a_new_plugin_is_followed(shop_terminal):
    """It is the only page that somebody has who was given the plugin by somebody else."""
    home = shop_terminal.folder
    shop_terminal.environ["REDIS_URL"] = f"embedded://{home}/jobrunner-mail/.jobrunner"
    shop_terminal.type("pip install 'jobrunner-core[embedded]'\njobrunner plugins new mail --queue mail.send")
    shop_terminal.folder = home / "jobrunner-mail"
    install, enqueue, producer = blocks((shop_terminal.folder / "README.md").read_text("utf-8"))

    worker = shop_terminal.leave_running(install.text)
    worker.wait_for_line("worker.started", timeout_s=120)
    shop_terminal.type(enqueue.text)
    worker.wait_for_line("job.completed")
    shop_terminal.write("producer.py", AS_A_PROGRAM.format(text=producer.text))
    told = shop_terminal.type("JOBRUNNER_PLUGINS=mail python producer.py")
    shop_terminal.end(worker)
    shop_terminal.type("pip uninstall --yes jobrunner-mail")

    assert "'characters': 5" in told
    assert (home / "jobrunner-mail/outbox").is_dir()


AS_A_PROGRAM = """
import ast, asyncio

code = compile({text!r}, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
asyncio.run(eval(code))
"""
