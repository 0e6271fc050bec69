"""Build the kernels: every ext/NAME.pyx becomes emulator.kernels.NAME; ship chips and programs with the package."""

from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup

SHARED = "emulator.kernels._shared"  # Cython's own utility code, compiled once for all kernels

kernels = [
    Extension(
        f"emulator.kernels.{path.stem}",
        [str(path)],
        # Integer kernels: the result is the same at every optimisation level and on every machine.
        extra_compile_args=[
            "-O3",
            "-ffp-contract=off",
            "-Wno-unused-function",
            "-Wno-sign-compare",
        ],
    )
    for path in sorted(Path("ext").glob("*.pyx"))
]
kernels.append(Extension(SHARED, ["build/cython/_shared.c"]))

# Folders beside the package become part of it where it is installed: `emulator/shipped.py` finds them in both.
BESIDE = {f"emulator.{name}": name for name in ("chipconfigs", "programs")}

setup(
    packages=[*find_packages(include=["emulator*"]), *BESIDE],
    package_dir=BESIDE,
    ext_modules=cythonize(
        kernels,
        build_dir="build/cython",
        include_path=[".", "ext"],
        shared_utility_qualified_name=SHARED,
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "initializedcheck": False,
            "cdivision": True,
        },
    ),
)
