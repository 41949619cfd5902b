"""Workers as real processes, hurt on purpose, and judged by what became of each job."""
