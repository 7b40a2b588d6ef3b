"""Uploads: files that become videos, sent in resumable pieces (tus 1.0)."""
