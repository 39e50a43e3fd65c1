"""One file per flow. A flow reads like its sequence diagram: fences, memory, one transaction, the reply."""
