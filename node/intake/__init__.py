"""The source's door: the signed list of keys, sealed alerts as they arrive, the mailbox a receipt opens.

Everything of a source is ciphertext here; days are kept, never times; no address, no browser name, no name of a file.
"""
