"""The doors: pages for people, the fediverse for servers, a command for operators."""
