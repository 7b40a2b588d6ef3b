"""The live directory, and a streamer's view of the own stream."""
