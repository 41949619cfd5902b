"""What a newcomer does, as a newcomer would: from an empty environment."""
