"""Reports: viewers tell the site's moderators, who claim and decide."""
