"""The routes of the HTTP API: each takes a request apart, asks `looking` or `changing`, and says what came of it."""
