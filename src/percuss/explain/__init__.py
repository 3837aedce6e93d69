"""Arrays that explain a decision: maps, features, an embedding, the landscape of the loss. Nothing is drawn here."""
