"""Several servers behind a balancer: what survives the death of one, and what is left after a long time."""
