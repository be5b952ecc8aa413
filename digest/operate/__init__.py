"""What the operator needs to sleep: checks, and a look at what one stage makes of given documents."""
