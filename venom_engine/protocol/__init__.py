"""The words that the engine, its nodes and its clients share. No I/O here, and nothing else of ours."""
