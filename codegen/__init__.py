"""The compiler of brianlike: equations in, source text out. Pure functions from strings to strings: no files, no compilers, no arrays."""

IS_BRIANLIKE_COMPILER = True
