"""Versions of installed packages."""

from importlib.metadata import PackageNotFoundError, version


def package_version(package: str) -> str:
    """Return the version of an installed package; this one may run without being installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
