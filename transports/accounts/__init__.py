"""Who may call: accounts, their keys, what they have used, and what they may still use."""
