"""What the tests across distributions stand on: real servers, faults, real processes, and a history checker.

`servers` starts Redis and Valkey on loopback, `proxy` breaks the connection to one at a chosen command,
`processes` runs and kills real processes, `history` records what happened and `checker` judges it. Nothing in
here knows the job runner: it drives it from the outside only.
"""
