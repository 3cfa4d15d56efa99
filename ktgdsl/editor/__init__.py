"""What editors ask about a spec: answers from a text and a place in it, and the server for them."""
