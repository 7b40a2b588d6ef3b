"""The chat service: rooms, moderation, fan-out, two dialects."""
