"""What can be told of a text by looking at it: how many words it has, whether it loops, whom it names."""
