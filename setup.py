"""Build the kernels: every ext/NAME.pyx becomes emulator.kernels.NAME."""

from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

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

setup(
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
    )
)
