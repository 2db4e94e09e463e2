"""Wallets: money a payer has paid in beforehand; a wallet pays a whole renewal or nothing."""
