"""The steps that make the tables of a study, and bring those of older studies up."""
