"""What nobody tells us: outboxes are read, who is silent is looked at again, and what is old is forgotten. All of it chores of the worker."""
