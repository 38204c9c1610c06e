"""``python -m tests.goldens DIR``: our implementation against golden numbers in a folder laid out like ``data``.

``data/README.md`` says what each array is, where it comes from, and how far we may be off.
"""
