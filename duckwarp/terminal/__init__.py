"""What is seen in a terminal: options, bars, tables, documents. No rule of an export."""
