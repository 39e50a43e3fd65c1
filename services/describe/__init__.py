"""The bus written down for others: what each version of the contract promises, the AsyncAPI document, the page `docs/bus.md`."""
