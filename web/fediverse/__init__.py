"""What other servers read and write here: actors, inboxes, collections, objects, discovery."""
