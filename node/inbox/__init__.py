"""What other servers tell us and ask of us, at the door: whose signature it is, whether it is kept, and who fetched a case of ours."""
