"""What a text message means and what it may do. Pure."""
