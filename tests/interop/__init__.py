"""The interop matrix. A package, so that it is found before the program of the same name in tests/python."""
