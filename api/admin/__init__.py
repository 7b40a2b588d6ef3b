"""The site as its moderators and admins see it: accounts, running streams, the audit log."""
