"""Whether a study is as it was written: its audit trail, and every row and file that the trail vouches for."""
