"""The ways to export tables that are compared: one program each, and the list of them."""
