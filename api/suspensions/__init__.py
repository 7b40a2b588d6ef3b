"""Suspensions of accounts and channels, and appeals against them."""
