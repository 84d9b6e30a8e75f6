"""Labels from words: a CLIP model guesses which of some descriptions a picture shows, for people to confirm."""
