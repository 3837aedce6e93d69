"""The reader study over HTTP: pages for readers and administrators, and the interface behind them."""
