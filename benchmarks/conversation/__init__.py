"""Conversations over the agent socket: how soon the agent answers, falls silent, and whether it lasts."""
