"""Clips: short cuts of videos and running broadcasts."""
