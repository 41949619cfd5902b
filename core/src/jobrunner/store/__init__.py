"""The only code that knows Redis: keys, scripts, connections, and what each call takes and gives."""
