"""Draws branded cards offline: a picture in one of four styles, with the prompt set as its text."""
