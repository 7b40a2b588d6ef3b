"""Follows: who wants to know of whose streams."""
