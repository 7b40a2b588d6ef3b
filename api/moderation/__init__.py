"""What moderators of a channel see and do."""
