"""Where entries come from, and `fetch`: the one guarded way out to the network."""
