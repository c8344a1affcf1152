"""Code that makes one call, in seven languages, from an operation and the values of its parameters.

Pure: what is written depends on the operation, the values and the origin alone. `making` chooses;
there is a module for each language, and `literals` knows how each of them writes a value.
"""
