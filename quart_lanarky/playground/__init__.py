"""The playground: one page in which a person tries the chain routes of an app."""
