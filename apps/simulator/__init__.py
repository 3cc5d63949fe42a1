"""A venue on loopback that speaks Alpaca's and Binance's protocols, and fails as venues do."""
