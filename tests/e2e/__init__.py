"""Tests that watch streams. A package: what they share ends with the last of them."""
