"""One YAML file per device; read with importlib.resources."""
