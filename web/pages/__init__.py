"""The pages people read and write, by door: readers, source, desk."""
