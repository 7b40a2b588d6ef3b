"""What goes on in a chat besides messages: who is there, polls, raids, pins, announcements."""
