"""The REST API: accounts, channels, the live directory."""
