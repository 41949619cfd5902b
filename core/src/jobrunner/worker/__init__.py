"""The worker: one process that takes jobs, runs them, and says what became of them. One duty a file."""
