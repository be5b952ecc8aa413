"""config.toml + environment → frozen, strict Config."""

from digest.config.reading import find_config, load_config
from digest.config.schema import Config

__all__ = ["Config", "find_config", "load_config"]
