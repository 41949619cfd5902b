"""A producer that never rests while something goes wrong with the store, and remembers what it was told."""

import secrets
import threading

from jobrunner.errors import StoreError
from jobrunner.producing import BatchError

from .scene import QUEUE


class Load:
    """A thread that enqueues a batch every few milliseconds, and insists on each with the same ids.

    Use it as a context manager: leaving it waits for the last batch to be accepted.

    Args:
        scene: The scenario.
        durability: As for `enqueue`.
        batch: Jobs of a batch.
        every_s: Seconds between batches, so that the workers keep up.
        seconds: What a job takes.
        filler: Bytes of a payload beside.
    """

    def __init__(self, scene, *, durability=None, batch=10, every_s=0.03, seconds=0.01, filler=0):
        self.ids = []
        self.refusals = 0
        self._scene = scene
        self._durability = durability
        self._batch, self._every_s, self._seconds = batch, every_s, seconds
        self._filler = "x" * filler
        self._over = threading.Event()
        self._grown = threading.Condition()
        self._error = None
        self._thread = threading.Thread(target=self._guarded, name="load")

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join(120)
        assert not self._thread.is_alive(), "the producer is not told that its last batch went in"
        assert self._error is None, self._error

    def wait_for(self, more, timeout_s=60.0):
        """Wait until so many more jobs were accepted."""
        with self._grown:
            wanted = len(self.ids) + more
            self._grown.wait_for(lambda: len(self.ids) >= wanted or self._error, timeout_s)
            assert len(self.ids) >= wanted, f"{len(self.ids)} of {wanted} jobs accepted, {self._error}"

    def _guarded(self):
        try:
            self._produce()
        except BaseException as error:
            with self._grown:
                self._error = error
                self._grown.notify_all()

    def _produce(self):
        with self._scene.producer(retry_for=5.0) as producer:
            while not self._over.wait(self._every_s):
                ids = [f"job-{secrets.token_hex(8)}" for _ in range(self._batch)]
                while not self._accepted(producer, ids):
                    self.refusals += 1
                for job_id in ids:
                    self._scene.history.accepted(job_id)
                with self._grown:
                    self.ids += ids
                    self._grown.notify_all()

    def _accepted(self, producer, ids):
        payloads = [{"number": k, "seconds": self._seconds, "filler": self._filler} for k in range(len(ids))]
        try:
            producer.enqueue_many(QUEUE, payloads, job_ids=ids, durability=self._durability)
        except BatchError as error:
            if not isinstance(error.__cause__, StoreError):
                raise
            return False
        return True
