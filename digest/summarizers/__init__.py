"""Who says a story in few words: the extract (default, and fallback of every other)."""
