"""Living documentation: what users do, in order, with the public API only."""
