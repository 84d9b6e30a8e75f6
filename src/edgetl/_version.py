"""The one place where the version is written; setuptools reads it from here without importing the package."""

VERSION = "0.1.0"
