"""What the engine costs, with bare Redis beside it: `python -m bench`."""
