"""How anybody else speaks to an engine: the same words in this process and from afar."""
