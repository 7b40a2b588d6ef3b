"""How often what may be abused may be done. All are multiplied by the setting `rate_limit_factor`.

An address is an IPv4 address or an IPv6 /64. The limits per address are generous because carriers
and schools put many people behind one; those per account are what stops guessing.
"""

from __future__ import annotations

from core.limits import Limit

LOGIN_ACCOUNT_FROM_ADDRESS = Limit("account_address", 10, 300)
# Against guessing from many addresses; high enough that a stranger cannot easily lock somebody out.
LOGIN_ACCOUNT = Limit("account", 100, 3600)
LOGIN_ADDRESS = Limit("address", 60, 300)

REGISTER_ADDRESS = Limit("address", 60, 3600)

FORGOT_ACCOUNT = Limit("account", 3, 3600)
FORGOT_ADDRESS = Limit("address", 20, 3600)

RESET_ADDRESS = Limit("address", 20, 600)

# Asking for the password again: changing it, the address, deleting the account.
CONFIRM_ACCOUNT = Limit("account", 10, 300)

KEYS_ACCOUNT = Limit("account", 20, 3600)
APP_TOKENS_ACCOUNT = Limit("account", 20, 3600)

FOLLOWS_ACCOUNT = Limit("account", 60, 600)
FOLLOWS_ADDRESS = Limit("address", 300, 600)

REPORTS_ACCOUNT = Limit("account", 20, 3600)
REPORTS_ADDRESS = Limit("address", 100, 3600)

APPEALS_ACCOUNT = Limit("account", 5, 86400)

CLIPS_ACCOUNT = Limit("account", 60, 3600)
CLIPS_ADDRESS = Limit("address", 300, 3600)
EXPORTS_ACCOUNT = Limit("account", 30, 3600)
UPLOADS_ACCOUNT = Limit("account", 60, 3600)
RETRIES_ACCOUNT = Limit("account", 20, 3600)
POSTERS_ACCOUNT = Limit("account", 60, 3600)
HIGHLIGHTS_ACCOUNT = Limit("account", 30, 3600)
# What counts once a day a viewer; many viewers may share an address.
VIEWS_ADDRESS = Limit("address", 600, 600)
# A player says where it is every few seconds.
POSITIONS_ACCOUNT = Limit("account", 120, 60)

EMOTES_ACCOUNT = Limit("account", 30, 600)

# Everything that a moderator does over REST; a raid of hundreds is met with the shield, or by bots.
MODERATION_ACCOUNT = Limit("account", 300, 60)
UNBAN_REQUESTS_ACCOUNT = Limit("account", 10, 3600)
ANNOUNCEMENTS_ACCOUNT = Limit("account", 20, 60)

# Each change is kept for good.
SETTINGS_ACCOUNT = Limit("account", 60, 600)
