return load(A.operation) and record(A.operation) or {}
