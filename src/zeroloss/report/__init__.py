"""The page of a run, and which of the documents' 85 items it regenerates."""
