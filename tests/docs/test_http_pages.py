"""Pages about the HTTP API and the dashboard: their commands are typed, and their programs call a real server."""

import json
import re
import shutil

import httpx
import pytest
from rig.snippets import execute
from starlette.applications import Starlette

pytestmark = pytest.mark.long

README = "plugins/http/README.md"
REST = """
  scheduleId: "s", scheduledTime: "2026-11-12T08:59:00Z",
  platforms: [{ platform: "x", accountId: "a", credentials: { accessToken: "t" } }],
  content: { hook: "h", body: "b", hashtags: [], mediaUrls: [] },
"""


def address_of(serving):
    """Where a server listens."""
    return json.loads(serving.wait_for_line('"event":"http.started"', timeout_s=60))["address"]


def log_in(address, token):
    """The overview as somebody sees it who logs in with a token."""
    with httpx.Client(base_url=address, follow_redirects=True) as browser:
        browser.get("/login")
        return browser.post("/login", data={"token": token}, headers={"origin": address})


@pytest.mark.runs("docs/how-to/use-the-dashboard.md", "use-the-dashboard")
def test_dashboard_is_opened_with_the_token_that_was_printed(snippets, terminal, redis_url):
    """The port is any free one, by the reader's own variable."""
    (commands,) = snippets
    terminal.environ |= {"REDIS_URL": redis_url, "JOBRUNNER_HTTP_PORT": "0"}

    serving = terminal.leave_running(commands.text)
    token = serving.wait_for_line(r"\bjrt_")
    overview = log_in(address_of(serving), re.search(r"jrt_\w+[\w-]*", token)[0])

    assert overview.status_code == 200
    assert "publish.dispatch" in overview.text
    terminal.end(serving)


@pytest.mark.xdist_group("reader")
@pytest.mark.runs(README, "jobrunner-http")
def test_api_is_installed_and_served(snippets, shop_terminal):
    """The server runs until Ctrl-C, and then the one that needs nothing does."""
    (commands,) = snippets
    shop_terminal.environ["JOBRUNNER_HTTP_PORT"] = "0"

    serving = shop_terminal.leave_running(commands.text)
    token = re.search(r"jrt_\w+[\w-]*", serving.wait_for_line(r"\bjrt_", timeout_s=60))[0]
    answer = httpx.get(f"{address_of(serving)}/api/health", headers={"authorization": f"Bearer {token}"})
    shop_terminal.interrupt(serving)
    link = serving.wait_for_line("^open: ", timeout_s=60).split()[-1]
    opened = httpx.get(link)

    assert answer.json()["status"] == "healthy"
    assert (opened.status_code, "HttpOnly" in opened.headers["set-cookie"]) == (303, True)
    shop_terminal.end(serving)


@pytest.mark.runs(README, "enqueueing")
def test_program_of_the_page_enqueues_and_is_told_what_is_wrong(snippets, terminal, redis_url):
    """Run by Node, with our address in place of the page's, and once with the fields that the page leaves out."""
    (program,) = snippets
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    terminal.environ |= {"REDIS_URL": redis_url, "JOBRUNNER_HTTP_PORT": "0"}
    token = terminal.environ["JOBRUNNER_TOKEN"] = json.loads(
        terminal.type("jobrunner token new shop --role operator --json")
    )["token"]
    serving = terminal.leave_running("jobrunner serve")
    address = address_of(serving)
    assert program.text.count("https://jobs.example.com") == program.text.count("/* ... */") == 1
    begun = 'const post = { id: "9" };\nprocess.on("exit", () => console.log("done"));\n'
    text = begun + program.text.replace("https://jobs.example.com", address)
    job = f"{address}/api/queue/publish.dispatch/jobs/post-9"
    headers = {"authorization": f"Bearer {token}"}

    terminal.write("wrong.mjs", text)
    assert terminal.type("node wrong.mjs") == "done\n"
    assert httpx.get(job, headers=headers).status_code == 404

    terminal.write("right.mjs", text.replace("/* ... */", REST))
    assert terminal.type("node right.mjs") == "done\n"
    assert httpx.get(job, headers=headers).json()["tenant"] == "acme"
    terminal.end(serving)


@pytest.mark.runs(README, "inside-another-application")
async def test_application_is_mounted_in_another(snippets, redis_url, monkeypatch):
    """`your_app` is any ASGI application; here a Starlette."""
    (program,) = snippets
    monkeypatch.setenv("REDIS_URL", redis_url)
    outer = Starlette()

    scope = await execute(program, your_app=outer)

    transport = httpx.ASGITransport(outer)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3000") as client:
        assert (await client.get("/jobs/livez")).status_code == 200
        assert (await client.get("/jobs/api/queue/stats")).status_code == 401
    await scope["app"].site.close()
