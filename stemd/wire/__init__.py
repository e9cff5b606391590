"""The bytes stemd speaks. PROTOCOL.md is the page; this is the code that keeps it."""
