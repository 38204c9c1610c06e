"""The logic of a live conversation. It knows no socket, and its decisions do no I/O."""
