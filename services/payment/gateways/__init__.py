"""The outside systems that move money, one file each."""
