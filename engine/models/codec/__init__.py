"""The codec of the Dual-AR models: 44.1 kHz speech to ten codebooks at 21.5 frames a second, and back."""
