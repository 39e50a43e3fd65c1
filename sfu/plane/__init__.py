"""The packet plane: the seat that control gives its orders to, and the planes that can take it."""
