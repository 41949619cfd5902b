"""The seven queues of the source system together: what no distribution's own tests can see."""
