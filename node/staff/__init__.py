"""The people of the organisation: who they are to the server, what they may do, and how they come in."""
