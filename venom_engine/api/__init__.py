"""The front door: checks what comes in, calls the engine, answers. Decides nothing itself."""
