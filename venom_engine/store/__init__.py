"""Keeping: the state folder, and the tasks and events in it."""
