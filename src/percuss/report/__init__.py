"""report.html, results.json and per_image.csv from a finished run. Draws; computes no statistic."""
