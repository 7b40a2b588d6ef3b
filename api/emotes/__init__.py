"""Emotes: pictures that stand for words in chat."""
