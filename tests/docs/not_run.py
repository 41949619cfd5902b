"""The blocks of the pages that no test runs, each with the reason, and what is done instead.

Kept short: what can be run is run.
"""

from rig.snippets import Choice, choice

DRAWING = "a drawing; what it names is looked for in the code"

NOT_RUN: dict[Choice, str] = {
    choice("docs/reliability.md"): (
        "the page is written from what these very commands recorded in a night; test_reliability.py holds each to a"
        " test that exists"
    ),
    choice(
        "docs/how-to/logs.md", "opentelemetry-collector"
    ): "no Collector here; read as it reads it, and held to itself",
    choice("docs/how-to/logs.md", "elastic"): "no Filebeat here; read as it reads it",
    choice("docs/how-to/logs.md", "loki"): "no Loki here; its keys are those of the lines",
    choice(
        "docs/how-to/logs.md", "fluent-bit"
    ): "no Fluent Bit here; read as it reads it, its keys are those of the lines",
    choice("docs/how-to/migrate/celery.md", "before"): "Celery's own code, quoted; it is read as Python",
    choice("docs/how-to/migrate/rq.md", "before"): "RQ's own code, quoted; it is read as Python",
    choice("docs/how-to/migrate/arq.md", "before"): "arq's own code, quoted; it is read as Python",
    choice("README.md", "see-it-work"): (
        "the first line is typed where uv is installed already, and so is the second; but that one is the run that this is"
        " part of, so it only finds the tests. .ci/run does both from the beginning"
    ),
    choice("docs/explanation/architecture.md", "architecture"): DRAWING,
    choice("docs/explanation/life-of-a-job.md", "the-life-of-a-job"): DRAWING,
    choice("docs/how-to/deploy.md", "1-one-machine"): (
        "no container engine and no running systemd: the files of the one are read, and the other's lines are typed with"
        " another root but for the last, whose unit is enabled"
    ),
    choice("docs/how-to/deploy.md", "2-more-workers"): (
        "no cluster: kubectl makes the secret and reads the files without one"
    ),
    choice("docs/how-to/migrate/source-system.md", "producers", "ts"): (
        "the source system's own factory is not here; Node runs it with one that prints, and the payload is one of ours"
    ),
}
