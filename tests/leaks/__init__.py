"""What must not leave, searched by content in everything that left."""
