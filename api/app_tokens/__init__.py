"""App tokens: what bots and chat clients log in with."""
