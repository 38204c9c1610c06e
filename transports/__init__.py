"""The wires: HTTP, WebSocket, the demo page and the command line."""
