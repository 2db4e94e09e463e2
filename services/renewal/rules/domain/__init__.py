"""What rules decide: pure."""
