return { int(now()) }
