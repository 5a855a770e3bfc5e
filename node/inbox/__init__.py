"""What other servers tell us: received (verified, kept, answered) at the door, processed afterwards by the worker."""
