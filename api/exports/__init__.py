"""Exports: videos as MP4, their sound as MP3."""
