"""One file per operation: `check(exchange, command)` gives a plan or a rejection and changes nothing, `apply(exchange, plan)` carries it out."""
