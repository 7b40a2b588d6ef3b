"""The ingest service: publish hooks, stream sessions, ffmpeg workers, the CMAF/LL-HLS packager."""
