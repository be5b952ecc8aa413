"""Who may be mailed, and the signed links they use."""
