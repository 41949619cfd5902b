"""Jobs of every kind on their way from a producer to a worker, while something goes wrong in between."""

import secrets
import time
from collections import Counter

from jobrunner.errors import StoreError
from jobrunner.producing import BatchError

KINDS = ["well", "retry", "steps", "well", "retry"]


class Flow:
    """A worker and a producer that reach the store by another address, such as a proxy's.

    Args:
        scene: The scenario.
        url: Where the worker and the producer believe the store to be.
    """

    def __init__(self, scene, url):
        self.scene = scene
        self.url = url
        self.kinds = {}
        self.worker = scene.worker(url=url)

    def enqueue(self, number, *, singly=False, seconds=0.002):
        """Enqueue jobs of all kinds; a producer that is refused insists, with the same ids."""
        wanted = [(f"job-{secrets.token_hex(6)}", KINDS[k % len(KINDS)]) for k in range(number)]
        with self.scene.producer(url=self.url) as producer:
            for batch in [[one] for one in wanted] if singly else [wanted]:
                ids = [job_id for job_id, _ in batch]
                payloads = [{"number": k, "how": how, "seconds": seconds} for k, (_, how) in enumerate(batch)]
                while not accepted(producer, ids, payloads):
                    continue
                for job_id in ids:
                    self.scene.history.accepted(job_id)
        self.kinds |= dict(wanted)

    def enqueue_until(self, *rules, seconds=0.05):
        """Enqueue jobs until each of the faults has struck."""
        deadline = time.monotonic() + 60
        while not all(rule.hits for rule in rules):
            assert time.monotonic() < deadline, [rule.hits for rule in rules]
            self.enqueue(3, seconds=seconds)
            self.enqueue(2, singly=True, seconds=seconds)
            self.scene.until(lambda: self.scene.count("wait") == 0, what="an empty line")

    def end(self, figures, *, title, injected, faults_ms, since="from the fault", note="", timeout_s=60):
        """Let all of it end, and judge: nothing lost, nothing doubled, nothing charged that no handler asked for.

        `faults_ms` is when things went wrong, or, where `since` says so, were well again.
        """
        self.finish(timeout_s)
        figures.record(
            title=title,
            injected=injected,
            faults=len(faults_ms),
            counts=self.scene.counts(),
            recovery_s=self.scene.resumptions(faults_ms),
            recovery_of=f"{since} to the next outcome that the store took",
            note=note,
        )
        self.judge()

    def finish(self, timeout_s=60):
        """Let all of it end, and the worker too."""
        self.scene.until_ended(len(self.kinds), timeout_s=timeout_s)
        assert self.worker.alive
        self.worker.terminate()
        assert self.worker.wait() == 0

    def judge(self):
        """Nothing lost, nothing doubled, nothing charged that no handler asked for."""
        scene, kinds = self.scene, Counter(self.kinds.values())
        scene.judge()
        scene.settled_once(len(self.kinds))
        assert int(scene.stats().get("retried", 0)) == kinds["retry"], (
            "an attempt was charged that did not fail"
        )
        again = {job_id: runs for job_id, runs in scene.runs().items() if runs != 1}
        assert again == {job_id: 2 for job_id, how in self.kinds.items() if how == "retry"}, "a job ran twice"
        effects = (scene.folder / "effects").read_text().splitlines() if kinds["steps"] else []
        assert len(set(effects)) == len(effects) == 3 * kinds["steps"], "a step was done twice, or not at all"
        assert '"worker.duty_restarted"' not in self.worker.output(), (
            "what the store says is no bug of a loop"
        )


def accepted(producer, ids, payloads):
    """Whether the store took the jobs, now or before."""
    try:
        if len(ids) == 1:  # which goes the short way
            producer.enqueue("chaos.work", payloads[0], job_id=ids[0])
        else:
            producer.enqueue_many("chaos.work", payloads, job_ids=ids)
    except StoreError:
        return False
    except BatchError as error:
        if not isinstance(error.__cause__, StoreError):
            raise
        return False
    return True
