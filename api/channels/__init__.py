"""Channels: their pages' data and their stream keys."""
