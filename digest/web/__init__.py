"""Two FastAPI apps: the public pages, and the preview on loopback."""
