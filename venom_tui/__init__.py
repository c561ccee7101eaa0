"""The console: shows one operator an engine and its nodes, in a terminal, through `client` and `protocol`."""
