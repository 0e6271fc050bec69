"""The compiled kernels: ext/NAME.pyx is emulator.kernels.NAME, its C interface NAME.pxd, its types NAME.pyi."""
