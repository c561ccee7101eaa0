"""The Spore, Venom's node agent: runs skills on its machine for an engine that may come and go."""
