"""What a client sends, checked and converted into what a chain takes."""
