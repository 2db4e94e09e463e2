"""A rolling deployment: the rows and messages of an older version, and two versions side by side."""
