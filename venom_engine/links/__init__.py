"""Ways for the engine to speak to a node that need no network."""
