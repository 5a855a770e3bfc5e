"""Who we speak with: our own actors, remote actors and their keys, who follows whom, hosts and what we hold against them, what we sent."""
