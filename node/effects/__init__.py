"""What an activity does here (ActivityPub §7, side effects): read, proven where its actor did not bring it, and handed to its function."""
