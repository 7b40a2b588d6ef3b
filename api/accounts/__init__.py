"""Accounts: registering, logins and their tokens, passwords, oneself."""
