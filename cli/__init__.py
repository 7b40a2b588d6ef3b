"""The `footlight` command: setting up, supervising and looking after one instance."""
